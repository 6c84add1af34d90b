"""An enterprise's record on the screen."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from federation.cli.output import console
from nodes.enterprise.record import EnterpriseRecord, ObjectionRecord, QueryRecord

_MEANING = {
    "NO_ANSWER": "did not answer: what it has is not in this record",
    "REFUSED": "refused to answer",
    "NOT_LOGGED": "lists what the log does not have",
    "EVIDENCE_DIFFERS": "answered something else than the log says",
    "STATEMENT_DIFFERS": "states something about another enterprise or query in this leaf",
    "NOT_TOLD": "does not hold this objection, so its answers do not count it",
    "WITHHELD": "answered this, by the log, and does not list it",
}


def show_record(found: EnterpriseRecord) -> None:
    """Print a record for a person."""
    console.print(f"\n  [bold]{escape(found.enterprise)}[/]   until {found.until}\n", soft_wrap=True)
    if found.queries:
        console.print(_queries(found.queries))
    for consent in found.consents:
        end = f"withdrawn {consent.revoked}" if consent.revoked else f"holds until {consent.valid_until}"
        shown = f"first shown by {consent.bank} on {consent.shown}, {end}; leaf {consent.leaves[0]}"
        console.print(f"  consent {consent.handle[:16]} of {escape(consent.issuer)}  {escape(shown)}", soft_wrap=True)
    for objection in found.objections:
        _show_objection(objection)
    for repair in found.repairs:
        console.print(f"  put right by {escape(repair.node)} on {repair.time}: {escape(repair.what)}", soft_wrap=True)
    for finding in found.findings:
        about = f" {finding.reference[:16]}" if finding.reference else ""
        said = f"{_MEANING[finding.code]} {finding.detail}".strip()
        console.print(f"  [bold red]{finding.code}[/]{about}  {escape(finding.party)} {escape(said)}", soft_wrap=True)
    stated = [*(query.statements for query in found.queries), *(consent.statements for consent in found.consents)]
    opened = sum(map(len, stated))
    witnessed = sum(query.witnessed for query in found.queries)
    verdict = "[green]complete[/]" if found.ok else "[bold red]not complete[/]"
    console.print(
        f"\n  {verdict}: {len(found.queries)} entries of {len(found.nodes)} nodes, {found.leaves} leaves proved, "
        f"{opened} sealed statements opened, "
        f"{witnessed} entries witnessed in full",
        soft_wrap=True,
    )


def _queries(queries: tuple[QueryRecord, ...]) -> Table:
    table = Table(box=None, pad_edge=True)
    for heading in ("when", "what", "bank", "nodes", "outcome", "leaves", "reference"):
        table.add_column(heading, overflow="fold")
    for query in queries:
        what = f"{query.kind}, again after {query.objection[:8]}" if query.objection else query.kind
        nodes = " · ".join(f"{node} {did.lower() if did == 'RELEASE' else did}" for node, did in query.nodes.items())
        leaves = ", ".join(map(str, query.leaves)) or "none"
        cells = (query.time, what, query.bank, nodes, query.outcome.lower(), leaves, query.reference[:16])
        table.add_row(*map(escape, cells))
    return table


def _show_objection(one: ObjectionRecord) -> None:
    left = "decided" if one.days_left is None else f"{one.days_left} days left"
    if one.days_left is not None and one.days_left < 1:
        left = "[bold red]overdue[/]"
    console.print(f"\n  objection {one.objection}  {one.ground}, filed {one.filed}: {left}", soft_wrap=True)
    for node, decision in one.decisions.items():
        console.print(f"    {escape(node)}: {escape(decision)}", soft_wrap=True)
    for node in one.waiting:
        console.print(f"    {escape(node)}: [yellow]not decided[/]", soft_wrap=True)
    for reference in one.reassessments:
        console.print(f"    asked again: {reference[:16]}", soft_wrap=True)
