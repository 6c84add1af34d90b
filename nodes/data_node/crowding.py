"""Whether many banks ask about an enterprise, which a node alone can see: the log learns neither who nor whom."""

from __future__ import annotations

from collections.abc import Callable

from nodes.data_node.site import NodeSite
from nodes.ledger.answers import SECONDS_PER_DAY
from protocols.channel.identity import PartyRole


def crowd_watch(site: NodeSite) -> Callable[[str], bool]:
    """Return what tells, of an enterprise, whether as many banks as the site's setting says asked about it of late.

    Where fewer banks are pinned than that, nothing is counted.
    """
    limit = site.many_banks

    def crowded(enterprise: str) -> bool:
        if sum(card.role is PartyRole.BANK for card in site.pins.cards.values()) < limit.banks:
            return False
        since = site.clock() // SECONDS_PER_DAY - limit.days
        return site.ledger.askers.banks(enterprise, since) >= limit.banks

    return crowded
