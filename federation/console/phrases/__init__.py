"""The texts: key, English, Chinese, a module for each page. Templates name keys; a test holds them together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.audit.alarms.words import RULES
from federation.console.phrases.alarms import ALARMS
from federation.console.phrases.entering import ENTERING
from federation.console.phrases.entry import ENTRY
from federation.console.phrases.frame import FRAME
from federation.console.phrases.health import HEALTH
from federation.console.phrases.objections import OBJECTIONS
from federation.console.phrases.overview import OVERVIEW
from federation.console.phrases.reports import REPORTS
from federation.console.phrases.story import STORY
from federation.console.phrases.terms import TERMS
from federation.console.phrases.timeline import TIMELINE
from federation.console.phrases.witnesses import WITNESSES

PHRASES: Final[Mapping[str, tuple[str, str]]] = {
    **FRAME,
    **ENTERING,
    **OVERVIEW,
    **TIMELINE,
    **ENTRY,
    **STORY,
    **ALARMS,
    **OBJECTIONS,
    **WITNESSES,
    **HEALTH,
    **TERMS,
    **REPORTS,
    **{f"rule.{name}": texts for name, texts in RULES.items()},
}
