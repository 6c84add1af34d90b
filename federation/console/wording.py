"""Every text of the console, in English and Chinese side by side, so that neither language can lack one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from federation.audit.records import sentence
from federation.console.phrases import PHRASES
from federation.console.sentences import CHINESE
from protocols.transparency.leaves import LeafCommitment


class Language(StrEnum):
    """The languages of the console."""

    ENGLISH = "en"
    CHINESE = "zh"

    @property
    def tag(self) -> str:
        """The language as pages declare it."""
        return "zh-CN" if self is Language.CHINESE else "en"


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

    def __call__(self, key: str, **values: object) -> str:
        """Return a text with its values in place. Raises: KeyError for a key that is not there."""
        return PHRASES[key][self._column].format(**values)

    def known(self, prefix: str, code: str) -> str:
        """Return the text of a code, "" if it has none."""
        found = PHRASES.get(f"{prefix}.{code}")
        return found[self._column] if found else ""

    def sentence(self, leaf: LeafCommitment) -> str:
        """Return in one sentence what an entry says."""
        values: Mapping[str, str | int] = dict(leaf.attributes)
        written = CHINESE.get(leaf.kind.value) if self.language is Language.CHINESE else None
        return written(leaf, values) if written else sentence(leaf)

    def duration(self, milliseconds: int) -> str:
        """Return a duration."""
        if milliseconds < 1000:
            return f"{milliseconds} ms"
        seconds = milliseconds / 1000
        if seconds < 120:
            return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
        minutes = round(seconds / 60)
        if minutes < 120:
            return self("unit.minutes", n=minutes)
        hours = round(minutes / 60)
        return self("unit.hours", n=hours) if hours < 72 else self("unit.days", n=round(hours / 24))
