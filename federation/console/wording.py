"""Every text of the console, in English and Chinese side by side, so that neither language can lack one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.audit.alarms import Alarm
from federation.audit.alarms.words import about, chinese, reason
from federation.audit.reading.records import sentence
from federation.audit.reconciliation.discrepancy import Discrepancy
from federation.console.phrases import PHRASES
from federation.console.sentences import CHINESE
from federation.report.month_words import Language, MonthWords
from protocols.assessment import refusals
from protocols.transparency.leaves import LeafCommitment

__all__ = ["Language", "Words", "preferred"]
_GROUPS: Final = {"decision": "decision", "code": "code", "role": "role", "leak_class": "leak"}
"""Fields of entries whose values have names."""


def preferred(cookie: str, accepted: str) -> Language:
    """Return the language that a visitor chose, or else the one that the browser asks for first."""
    if cookie in Language.__members__.values():
        return Language(cookie)
    first = accepted.split(",", 1)[0].strip().lower()
    return Language.CHINESE if first.startswith("zh") else Language.ENGLISH


class Words:
    """The texts in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._column = list(Language).index(language)
        self._chinese = language is Language.CHINESE

    def __call__(self, key: str, **values: object) -> str:
        """Return a text with its values in place. Raises: KeyError for a key that is not there."""
        return PHRASES[key][self._column].format(**values)

    def known(self, prefix: str, code: str) -> str:
        """Return the text of a code, "" if it has none."""
        found = PHRASES.get(f"{prefix}.{code}")
        return found[self._column] if found else ""

    def named(self, group: str, code: str) -> str:
        """Return a code by its name; one that has none as it is."""
        return self.known(group, code) or (refusals.chinese(code) if group == "code" and self._chinese else "") or code

    def value(self, field: str, value: str | int) -> str:
        """Return what an entry states under one of its fields: a code with what it means, anything else as it is."""
        group = _GROUPS.get(field)
        if group is None or not isinstance(value, str):
            return str(value)
        name = self.named(group, value)
        if group == "code":
            name = self.known("ground", value) or self.known("reason", value) or _meaning(value, self._column)
        return value if name in ("", value) else self("term", code=value, meaning=name)

    # ---- alarms

    def threshold(self, alarm: Alarm) -> str:
        """Return an alarm's threshold."""
        return self._said(alarm, 0) or alarm.threshold

    def seen(self, alarm: Alarm) -> str:
        """Return what an alarm has seen."""
        return self._said(alarm, 1) or alarm.seen

    def _said(self, alarm: Alarm, place: int) -> str:
        return chinese(alarm.said[place]) if self._chinese and alarm.said is not None else ""

    def about(self, text: str) -> tuple[str, str]:
        """Return what an alarm is about: the word for it, and the id."""
        return about(text, self._column)

    def fault(self, found: Discrepancy) -> str:
        """Return why something does not reconcile."""
        return (reason(found.code) if self._chinese else "") or found.text

    # ---- entries and times

    def sentence(self, leaf: LeafCommitment) -> str:
        """Return in one sentence what an entry says."""
        values: Mapping[str, str | int] = dict(leaf.attributes)
        written = CHINESE.get(leaf.kind.value) if self._chinese else None
        return written(leaf, values) if written else sentence(leaf)

    def month(self, name: str) -> str:
        """Return a month such as 2026-11 by its name."""
        return MonthWords(self.language).month(name)

    def duration(self, milliseconds: int) -> str:
        """Return a duration."""
        if milliseconds < 1000:
            return self("unit.ms", n=milliseconds)
        seconds = milliseconds / 1000
        if seconds < 120:
            return self("unit.seconds", n=f"{seconds:.2f}" if seconds < 10 else f"{seconds:.1f}")
        minutes = round(seconds / 60)
        if minutes < 120:
            return self("unit.minutes", n=minutes)
        hours = round(minutes / 60)
        return self("unit.hours", n=hours) if hours < 72 else self("unit.days", n=round(hours / 24))


def _meaning(code: str, column: int) -> str:
    return (refusals.english, refusals.chinese)[column](code).rstrip(".。")
