"""Who holds what and who sees what, for tables and reports: the same words as the README's."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from federation.local.layout import BANK, COORDINATOR, read_federation
from federation.report.data import PartyView
from federation.traffic import Traffic
from protocols.channel.identity import PartyRole

HOLDINGS: Final = {
    "tax": "VAT declarations, tax credit grades",
    "social": "social insurance contributions",
    "housing_fund": "housing fund deposits",
    "electricity": "electricity bills",
}
NODE_SEES: Final = ("which enterprises the bank asks about", "its own part of the model")
NODE_NEVER: Final = ("outcomes", "other offices' data", "the total score")
BANK_SEES: Final = ("sums over at least k enterprises", "one total per consenting enterprise")
BANK_NEVER: Final = ("any record or feature of an office", "any office's own part of a score")
COORDINATOR_SEES: Final = ("who asked what of whom, when, how large", "ciphertexts it cannot open")
COORDINATOR_NEVER: Final = ("any enterprise's code", "any feature, outcome or score")


def party_views(folder: Path, traffic: Traffic) -> tuple[PartyView, ...]:
    """Return every party's view of a run, data nodes first."""
    nodes = read_federation(folder).node_parties
    node_views = [
        _view(
            node,
            PartyRole.DATA_NODE,
            HOLDINGS.get(domain, "its own records"),
            NODE_SEES,
            NODE_NEVER,
            traffic,
        )
        for node, domain in nodes.items()
    ]
    bank = _view(BANK, PartyRole.BANK, "loans and their outcomes, its own key", BANK_SEES, BANK_NEVER, traffic)
    relayed = PartyView(
        COORDINATOR,
        PartyRole.COORDINATOR,
        "the audit log; no data, no decryption key",
        COORDINATOR_SEES,
        COORDINATOR_NEVER,
        messages_received=sum(traffic.messages_received.values()),
        bytes_received=sum(traffic.bytes_sent.values()),
        bytes_sent=sum(traffic.bytes_received.values()),
    )
    return (*node_views, bank, relayed)


def _view(
    party: str, role: PartyRole, holds: str, sees: tuple[str, ...], never: tuple[str, ...], traffic: Traffic
) -> PartyView:
    return PartyView(
        party,
        role,
        holds,
        sees,
        never,
        messages_received=traffic.messages_received.get(party, 0),
        bytes_received=traffic.bytes_received.get(party, 0),
        bytes_sent=traffic.bytes_sent.get(party, 0),
    )
