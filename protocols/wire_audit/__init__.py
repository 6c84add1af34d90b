"""The wire auditor: it reads a run as an attacker would, and fails on what can be seen. See docs/wire-audit.md."""

from protocols.wire_audit.auditor import Observation, Report, Terms, WireAuditor, audit
from protocols.wire_audit.canaries import Canaries, distinctive
from protocols.wire_audit.findings import REASONS, Code, Finding
from protocols.wire_audit.releases import Account

__all__ = [
    "REASONS",
    "Account",
    "Canaries",
    "Code",
    "Finding",
    "Observation",
    "Report",
    "Terms",
    "WireAuditor",
    "audit",
    "distinctive",
]
