"""Where a federation in one process keeps what: names, folders, and the one public file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from nodes.consent_sources import ISSUERS_FOLDER
from nodes.keystore import replace_file
from protocols.channel.envelope import EVERYONE
from protocols.channel.identity import PartyId
from protocols.consortium.own_columns import BANKS
from protocols.errors import ConfigurationError

BANK: Final = PartyId("bank")
COORDINATOR: Final = PartyId("coordinator")
CONSENT_SERVICE: Final = PartyId("consent_service")
CONSOLE: Final = "console"
ADDRESS_FILE: Final = "address"
"""In the console's folder: where it was last served."""
FEDERATION_FILE: Final = "federation.json"
MODEL_FILE: Final = "model.json"
LOG_NAME: Final = "credit-federation.local/log"
RESERVED: Final = frozenset(
    {
        BANK,
        BANKS,
        COORDINATOR,
        CONSENT_SERVICE,
        EVERYONE,
        "cards",
        CONSOLE,
        "data",
        ISSUERS_FOLDER,
        "flower",  # these three of `credfed up`
        "run",
        "superlink",
        FEDERATION_FILE,
        "results.json",
        "report.html",
    }
)
"""What no domain can be named: other parties, and other entries of a federation's folder."""
SUPERNODE: Final = "supernode-"
"""What the process of a party's SuperNode is named by, before the party; so no party's own process can be."""


class FederationFile(msgspec.Struct, frozen=True):
    """What `federation.json` says: public facts only.

    `data` is relative to the folder, or absolute; `uscc` tells whether enterprises go by unified social credit codes;
    `banks` are the label files' names, by default the one bank's; `regions` names the nodes of each split domain.
    """

    data: str
    key_bits: int
    domains: tuple[str, ...]
    uscc: bool
    model: str = ""
    banks: tuple[str, ...] = (BANK,)
    regions: dict[str, tuple[str, ...]] = {}

    @property
    def nodes(self) -> dict[str, str]:
        """Return the domain of each data node, by the name of its file."""
        return {node: domain for domain in self.domains for node in self.regions.get(domain, (domain,))}

    @property
    def node_parties(self) -> dict[PartyId, str]:
        """Return the domain of each data node, by its party."""
        return {party_of(node): domain for node, domain in self.nodes.items()}

    @property
    def bank_parties(self) -> dict[PartyId, str]:
        """Return the name of each bank by its party, the first one leading."""
        return {party_of(bank): bank for bank in self.banks}


def read_federation(folder: Path) -> FederationFile:
    """Read `federation.json`. Raises: ConfigurationError, code NOT_A_FEDERATION."""
    path = folder / FEDERATION_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=FederationFile)
    except OSError as error:
        raise ConfigurationError(f"{folder}: no {FEDERATION_FILE} there", code="NOT_A_FEDERATION") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ConfigurationError(f"{path}: {error}", code="NOT_A_FEDERATION") from error


def write_federation(folder: Path, file: FederationFile) -> None:
    """Write `federation.json`: a reader finds the old one or the new one whole. Raises: OSError."""
    replace_file(folder / FEDERATION_FILE, msgspec.json.format(msgspec.json.encode(file)) + b"\n", 0o644)


def witness_name(party: PartyId) -> str:
    """Return the name under which a party cosigns the log."""
    return f"credit-federation.local/witness/{party}"


def party_of(domain: str) -> PartyId:
    """Return the party id of a domain's node, or of a bank: its name, in Punycode (RFC 3492) where it is not ASCII."""
    return PartyId(domain if domain.isascii() else f"xn-{domain.encode('punycode').decode()}")


def name_of(party: str) -> str:
    """Return the name that a party goes by among people: what `party_of` has encoded, or the id itself."""
    if not party.startswith("xn-"):
        return party
    try:
        name = party.removeprefix("xn-").encode("ascii").decode("punycode")
    except UnicodeError:
        return party
    return name if party_of(name) == party else party
