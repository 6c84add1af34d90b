"""Founding a federation: every party's folder and keys, and the cards by which they know each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from federation.audit import create_log_signer, write_log_keys
from federation.local.layout import (
    BANK,
    CONSENT_SERVICE,
    COORDINATOR,
    LOG_NAME,
    RESERVED,
    SUPERNODE,
    FederationFile,
    party_of,
    witness_name,
    write_federation,
)
from nodes.bank.store.database import DATABASE_FILE, copy_database
from nodes.bank.watching.webhooks import KEY_FILE as WEBHOOK_KEY_FILE
from nodes.keystore import create_party, create_witness, replace_file, write_cards
from nodes.policy import POLICY_FILE, NodePolicy, write_policy
from nodes.sources import DatasetDescription, read_bank_source, read_node_source, require_usccs, uses_usccs
from protocols.channel.identity import PartyId, PartyRole
from protocols.errors import ConfigurationError
from protocols.transparency.checkpoints import LogKeys


def create_federation(folder: Path, description: DatasetDescription, key_bits: int, policy: NodePolicy) -> None:
    """Make every party's folder and keys below `folder`, and let all pin each other's cards.

    Every source is read and checked first. Raises: OSError; ConfigurationError if a source is wrong, a domain is
    named like another party or a file here, there is one data node alone, or a key cannot have this length.
    """
    nodes = [party_of(node) for node in description.nodes]
    banks = [party_of(bank) for bank in description.banks]
    _check_names(nodes, banks)
    if len(nodes) < 2:
        raise ConfigurationError(
            f"{description.directory}: one data node alone, whose totals nothing would hide; two are the fewest",
            code="TOO_FEW_NODES",
        )
    if key_bits % 64:
        raise ConfigurationError(f"a key of {key_bits} bits: the length is a multiple of 64", code="KEY_LENGTH")
    uscc = _check_sources(description)
    roles = {COORDINATOR: PartyRole.COORDINATOR, CONSENT_SERVICE: PartyRole.CONSENT_SERVICE}
    roles |= dict.fromkeys(banks, PartyRole.BANK) | dict.fromkeys(nodes, PartyRole.DATA_NODE)
    with_key = (PartyRole.BANK, PartyRole.DATA_NODE)
    cards = [
        create_party(folder / party, party, role, key_bits if role in with_key else None)
        for party, role in roles.items()
    ]
    write_cards(folder / "cards", cards)
    _create_log(folder, [*nodes, *banks])
    for node in nodes:
        write_policy(folder / node / POLICY_FILE, policy)
    (folder / CONSENT_SERVICE / "withheld.txt").write_text("", encoding="utf-8")
    data = _data_path(folder, description.directory)
    domains, banks_of = description.node_domains, description.banks
    file = FederationFile(data, key_bits, domains, uscc, banks=banks_of, regions=description.regions)
    write_federation(folder, file)


def _check_names(nodes: Sequence[PartyId], banks: Sequence[PartyId]) -> None:
    """Return if every party has a name, a folder and processes of its own, whatever letters a disk takes for alike.

    Raises: ConfigurationError, code UNKNOWN_DOMAIN.
    """
    known: set[str] = set()
    for party in (*nodes, *banks):
        name = party.casefold()
        taken = RESERVED - {BANK} if party in banks else RESERVED
        if name in taken or name.startswith(SUPERNODE):
            raise ConfigurationError(
                f"a domain or a bank cannot be named {party}: that names something else in a federation",
                code="UNKNOWN_DOMAIN",
            )
        if name in known:
            raise ConfigurationError(
                f"two domains or banks would be the party {party}, or share its folder", code="UNKNOWN_DOMAIN"
            )
        known.add(name)


def keep_bank_apis(earlier: Path, folder: Path, description: DatasetDescription) -> None:
    """Let each bank's REST API go on in a new federation from where it was in an earlier one, if there was one.

    What was reported, who may call, what was answered, and the key that signs its events stay; consents that are bound
    to a bank's earlier key end with it. Raises: ConfigurationError, code BAD_DATABASE; OSError.
    """
    for home, new in ((earlier / party_of(bank), folder / party_of(bank)) for bank in description.banks):
        if (home / DATABASE_FILE).is_file():
            copy_database(home / DATABASE_FILE, new / DATABASE_FILE)
        if (home / WEBHOOK_KEY_FILE).is_file():
            replace_file(new / WEBHOOK_KEY_FILE, (home / WEBHOOK_KEY_FILE).read_bytes())


def _create_log(folder: Path, witnesses: list[PartyId]) -> None:
    """Make the log's key and each witness's, all apart from those that sign messages; every witness pins the log's."""
    log_key = create_log_signer(folder / COORDINATOR, LOG_NAME).verifier
    keys = tuple(create_witness(folder / party, witness_name(party), log_key) for party in witnesses)
    write_log_keys(folder / COORDINATOR, LogKeys(log_key, keys))


def _check_sources(description: DatasetDescription) -> bool:
    """Read every source once; return whether enterprises go by USCC. Raises: ConfigurationError."""
    banks = {bank: read_bank_source(description, bank)[0] for bank in description.banks}
    uscc = uses_usccs([name for table in banks.values() for name in table.ids])
    if uscc:
        for bank, table in banks.items():
            require_usccs(description, bank, table.ids)
    held: dict[tuple[str, str], str] = {}
    for node, domain in description.nodes.items():
        table = read_node_source(description, node)
        if uscc:
            require_usccs(description, node, table.ids)
        for row, name in enumerate(table.ids if domain in description.regions else (), start=1):
            if (other := held.setdefault((domain, name), node)) != node:
                raise ConfigurationError(
                    f"{description.source(node)}: row {row}: an enterprise that {other} holds too", code="DUPLICATE_ID"
                )
    return uscc


def _data_path(folder: Path, data: Path) -> str:
    absolute, inside = data.resolve(), folder.resolve()
    return str(absolute.relative_to(inside)) if absolute.is_relative_to(inside) else str(absolute)
