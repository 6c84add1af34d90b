"""A whole federation that is small enough to train in a second: five parties' CSV files and 512-bit keys."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from flwr.common.serde import message_from_proto
from flwr.proto.message_pb2 import Message as ProtoMessage
from numpy.typing import NDArray

from federation.audit.reading.log_view import LoggedLeaf
from federation.local.federation import LocalFederation
from federation.local.founding import create_federation
from federation.local.layout import BANK, CONSENT_SERVICE
from nodes.bank.model.file import ModelFile
from nodes.bank.training.split import Split, split_rows
from nodes.consent_sources import REVOCATIONS_FILE, ConsentSources, ListFile, read_issuers
from nodes.data_node.agent import DataNodeAgent
from nodes.data_node.rows import Rows
from nodes.data_node.site import NodeSite
from nodes.data_node.stop_switch import StopSwitch
from nodes.flower_relay import parcel_of
from nodes.keyring import Keyring
from nodes.keystore import read_cards, read_keys, read_paillier
from nodes.ledger import open_node_ledger
from nodes.policy import NodePolicy, PolicyInForce, TrainingRules, usual_policy
from nodes.sources import read_description, read_node_source
from nodes.statements import About, StatementWriter
from protocols.assessment.messages import Query, Subject
from protocols.channel.envelope import EVERYONE, Channel, Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyId
from protocols.channel.pins import Pins
from protocols.channel.wire import Message
from protocols.consent import Consent, Purpose, issue_consent, issue_slip
from protocols.paillier import PrivateKey, Randomness, key_file
from protocols.scorecard.model import TrainingPlan
from protocols.transparency.leaves import LeafKind, encode_leaf
from protocols.transparency.statements import SealedStatements
from protocols.uscc import synthetic

KEY_BITS = 512
ROWS = 400
MINIMUM_BIN = 20
NODES = ("electricity", "housing", "social", "tax")
CHEN = PartyId("chen")  # an auditor
POLICY = usual_policy((BANK,), training=TrainingRules(minimum_bin=MINIMUM_BIN, minimum_key_bits=KEY_BITS))
PLAN = TrainingPlan(themes={("tax", "sales"): "sales", ("social", "staff"): "sales"})
CATEGORIES = ("纳税甲级", "纳税乙级", "纳税丙级", "纳税丁级", "纳税戊级")
NOW = 1_700_000_000
CONSENT_ID = "the id of all consents"


def codes(count: int = ROWS) -> list[str]:
    """Valid synthetic codes, the same ones for every test."""
    return [synthetic(number + 1) for number in range(count)]


def write_csv(path: Path, ids: Sequence[str], columns: dict[str, Sequence[object] | NDArray[np.generic]]) -> None:
    """Write one party's table; None is written as nothing."""
    lines = [",".join(["id", *columns])]
    for row, identifier in enumerate(ids):
        lines.append(",".join([identifier, *("" if c[row] is None else str(c[row]) for c in columns.values())]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_dataset(directory: Path, ids: Sequence[str] | None = None, seed: int = 1) -> Path:
    """Write five parties' files about one latent risk: numbers, a category, missing values, absent enterprises.

    Every value is a canary: a number near 7,000,000, or a category, that occurs in no other column.
    """
    directory.mkdir(parents=True, exist_ok=True)
    ids = codes() if ids is None else ids
    rng = np.random.default_rng(seed)
    risk = rng.normal(size=len(ids))
    bad = (risk + rng.normal(size=len(ids)) > 1.0).astype(int)

    def feature(strength: float, mark: int) -> list[object]:
        values = 7e6 + mark / 64 + np.round(8000 * (strength * risk + rng.normal(size=len(ids)))) / 8
        return [None if rng.random() < 0.1 else float(value) for value in values]

    grade = [CATEGORIES[min(4, max(0, round(r + 2)))] for r in risk + rng.normal(size=len(ids))]
    write_csv(directory / "node_bank.csv", ids, {"defaulted": bad, "utilisation": feature(0.5, 1)})
    write_csv(directory / "node_tax.csv", ids[:-20], {"sales": feature(0.8, 2)[:-20], "等级": grade[:-20]})
    write_csv(directory / "node_social.csv", ids[20:], {"staff": feature(0.8, 3)[20:]})
    write_csv(
        directory / "node_electricity.csv", ids[:-40], {"kwh": feature(0.0, 4)[:-40], "rate": feature(0.9, 5)[:-40]}
    )
    write_csv(directory / "node_housing.csv", ids[10:], {"paying": feature(0.7, 6)[10:]})
    domains = {
        "housing": ["paying"],
        "bank": ["utilisation"],
        "tax": ["sales", "等级"],
        "social": ["staff"],
        "electricity": ["kwh", "rate"],
    }
    write_description(directory, domains)
    return directory


def write_description(
    directory: Path, domains: dict[str, list[str]], identifier: str = "id", label: str = "defaulted"
) -> None:
    """Write `domains.json`."""
    text = json.dumps({"id": identifier, "label": label, "domains": domains}, ensure_ascii=False)
    (directory / "domains.json").write_text(text, encoding="utf-8")


def make_federation(folder: Path, policy: NodePolicy = POLICY, ids: Sequence[str] | None = None) -> Path:
    """Create a federation whose data lie inside its folder, so that the folder may be copied."""
    folder.mkdir(parents=True, exist_ok=True)
    write_dataset(folder / "data", ids)
    create_federation(folder, read_description(folder / "data"), KEY_BITS, policy)
    return folder


_cached: list[PrivateKey] = []


@contextmanager
def quick_keys(first: int = 0) -> Iterator[None]:
    """Hand out cached 512-bit keys, from the `first` on, to federations made meanwhile; stretch passphrases little."""
    pool = itertools.count(first)

    def generate(bits: int, randomness: Randomness) -> PrivateKey:
        index = next(pool)
        if bits != KEY_BITS:
            return true_generate(bits, randomness)
        while len(_cached) <= index:
            _cached.append(true_generate(bits, randomness))
        return _cached[index]

    true_generate = PrivateKey.generate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PrivateKey, "generate", generate)
        patch.setattr(key_file, "_LOG2_COST", 10)
        yield


def default_split(federation: LocalFederation) -> Split:
    """The split that every test trains on."""
    return split_rows(federation.outcomes, 0.3, 0)


@dataclass(frozen=True)
class AtNode:
    """One node's agent of a trained federation, with the bank's and the consent service's keys to talk to it."""

    folder: Path
    agent: DataNodeAgent
    site: NodeSite
    model: ModelFile
    now: int

    def query(self) -> Query:
        """A query that the agent would answer; `msgspec.structs.replace` makes it one that it would not."""
        bank = self.site.pins.cards[BANK]
        manifest = self.model.signed_manifest().manifest
        return Query(
            query=secrets.token_bytes(16),
            bank=BANK,
            bank_card=bank.fingerprint(),
            model=manifest.model_hash(),
            purpose=Purpose.ASSESSMENT,
            nodes=tuple(entry.party for entry in manifest.nodes),
            issued=self.now,
            expires=self.now + 300,
            subject_tag=bytes(32),
            slip=self._signed(self._consent("", BANK, tuple(Purpose), NODES, (-10_000, 10_000)))[1],
        )

    def consent(
        self,
        enterprise: str,
        bank: str = BANK,
        purpose: Purpose = Purpose.ASSESSMENT,
        domains: tuple[str, ...] = NODES,
        valid: tuple[int, int] = (0, 3600),
    ) -> str:
        """A consent token, to which the slip of every query belongs; `valid` counts seconds from now."""
        return self._signed(self._consent(enterprise, bank, (purpose,), domains, valid))[0]

    def _consent(
        self,
        enterprise: str,
        bank: str,
        purposes: tuple[Purpose, ...],
        domains: tuple[str, ...],
        valid: tuple[int, int],
    ) -> Consent:
        return Consent(
            subject=enterprise,
            bank=bank,
            bank_card=self.site.pins.cards[BANK].fingerprint(),
            purposes=purposes,
            domains=domains,
            uses=1000,
            issued=self.now,
            not_before=self.now + valid[0],
            expires=self.now + valid[1],
            token_id=CONSENT_ID,
        )

    def _signed(self, consent: Consent) -> tuple[str, str]:
        keys = read_keys(self.folder / CONSENT_SERVICE)
        return issue_consent(consent, keys.party, keys.signing), issue_slip(consent, keys.party, keys.signing)

    def envelopes(self, query: Query, subject: Subject) -> tuple[Envelope, ...]:
        """What the bank would send about one enterprise."""
        channel = self.bank_channel(query.transcript())
        return channel.wrap(EVERYONE, query), channel.wrap(self.site.keys.party, subject)

    def bank_channel(self, transcript: bytes) -> Channel:
        """The bank's end."""
        return Channel(read_keys(self.folder / BANK), self.site.pins.cards, transcript)

    def ask(self, query: Query, subject: Subject) -> Envelope:
        """Send a query and its subject; return the one answer."""
        (answer,) = answers_in(self.agent.handle(pack_parcel(self.envelopes(query, subject))))
        return answer

    def read(self, query: Query, answer: Envelope, kind: type[Message]) -> Message:
        """Open an answer as the bank would."""
        return self.bank_channel(query.transcript()).unwrap(answer, kind)


def answers_in(parcel: bytes) -> tuple[Envelope, ...]:
    """The envelopes of a parcel that go to somebody: all but what its sender states for the log."""
    return tuple(envelope for envelope in open_parcel(parcel) if envelope.message != SealedStatements.__name__)


def stated(channel: Channel, query: Query, enterprise: str, leaf: LeafKind) -> Envelope:
    """What a party states of one enterprise, as it must for its message to be logged."""
    writer = StatementWriter(Pins(channel.cards.values()), secrets.token_bytes)
    return writer.write(leaf, query, [About(enterprise, leaf.value)], channel, NOW)


_kept_keys: dict[bytes, PrivateKey] = {}
_kept_pins: dict[tuple[bytes, ...], Pins] = {}


def _paillier(pem: bytes, home: Path) -> PrivateKey:
    """The key of a file, opened once: its passphrase is stretched on purpose."""
    if pem not in _kept_keys:
        _kept_keys[pem] = read_paillier(home)
    return _kept_keys[pem]


def _pins(cards: tuple[bytes, ...], folder: Path) -> Pins:
    """The pins of a folder of cards, with the key proofs that were verified so far."""
    if cards not in _kept_pins:
        _kept_pins[cards] = read_cards(folder / "cards")
    return _kept_pins[cards]


def envelopes_in(recorded: bytes) -> tuple[Envelope, ...]:
    """The envelopes of a recorded Flower message."""
    return open_parcel(parcel_of(message_from_proto(ProtoMessage.FromString(recorded))))


def _consents(folder: Path, home: Path) -> ConsentSources:
    """The consent service of a folder, with the list that it last signed."""
    pins = _pins(tuple(path.read_bytes() for path in sorted((folder / "cards").iterdir())), folder)
    return ConsentSources(read_issuers(home, pins), ListFile(folder / CONSENT_SERVICE / REVOCATIONS_FILE))


def at_node(
    folder: Path,
    model: ModelFile,
    node: str = "tax",
    policy: NodePolicy = POLICY,
    clock: Callable[[], int] = lambda: NOW,
) -> AtNode:
    """Bring one node of a trained federation to life, under a policy and a clock of the test's choice."""
    home = folder / node
    ledger = open_node_ledger(home / "ledger.sqlite")
    site = NodeSite(
        domain=node,
        ring=Keyring(
            read_keys(home),
            _paillier((home / "paillier.pem").read_bytes(), home),
            _pins(tuple(path.read_bytes() for path in sorted((folder / "cards").iterdir())), folder),
        ),
        rows=Rows(partial(read_node_source, read_description(folder / "data"), node), ledger.repairs),
        rules=PolicyInForce(policy),
        ledger=ledger,
        switch=StopSwitch(home),
        consents=_consents(folder, home),
        clock=clock,
    )
    return AtNode(folder, DataNodeAgent(site), site, model, NOW)


def logged_leaves(federation: LocalFederation, start: int = 0) -> list[LoggedLeaf]:
    """The leaves of a federation's log from one on, as they are stored."""
    return [LoggedLeaf(e.index, encode_leaf(e.leaf), e.leaf.body) for e in federation.log.entries(start)]
