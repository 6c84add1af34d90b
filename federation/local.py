"""A whole federation in one process: every party in its own folder, talking in Flower messages alone.

The one module that joins nodes and coordinator. Each party's agent is built from that party's folder and source; what
passes between them passes as serialised messages over the embedded grid, which an observer may record.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec
import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from federation.audit import AuditLog, create_log_signer, read_log_keys, read_log_signer, write_log_keys
from federation.coordinator import Coordinator, CoordinatorSite
from federation.grid import EmbeddedGrid, Observer
from federation.rounds import Mailroom, RoundEvent, Rounds, Traffic, server_app
from federation.witnessing import Witnessing
from nodes.agent import DataNodeAgent, NodeSite, system_clock
from nodes.bank_agent import BankAgent, BankSite, Split, TrainingTerms
from nodes.features.compute import DEFAULT_AS_OF
from nodes.flower_relay import make_client_app
from nodes.keystore import (
    create_party,
    create_witness,
    read_cards,
    read_cosigner,
    read_keys,
    read_log_key,
    read_paillier,
    write_cards,
)
from nodes.ledger import Ledger
from nodes.log_witness import LogWitness
from nodes.model_file import ModelFile, RunFacts, read_model_file, write_model_file
from nodes.policy import NodePolicy, read_policy
from nodes.results import AssessmentResult
from nodes.sources import (
    DatasetDescription,
    is_identifier,
    read_bank_source,
    read_description,
    read_node_source,
    require_usccs,
    uses_usccs,
)
from protocols.channel.envelope import EVERYONE
from protocols.channel.identity import PartyId, PartyRole
from protocols.consent import Consent, Purpose, cohort_subject, issue_consent
from protocols.errors import ConfigurationError
from protocols.scorecard.messages import NodeEntry
from protocols.scorecard.model import BankRows, TrainedScorecard, TrainingPlan
from protocols.transparency.checkpoints import LogKeys
from protocols.transparency.leaves import LeafKind
from protocols.transparency.notes import VerifierKey
from protocols.uscc import validate as validate_uscc

BANK: Final = PartyId("bank")
COORDINATOR: Final = PartyId("coordinator")
CONSENT_SERVICE: Final = PartyId("consent_service")
FEDERATION_FILE: Final = "federation.json"
MODEL_FILE: Final = "model.json"
LOG_NAME: Final = "credit-federation.local/log"
RESERVED: Final = frozenset(
    {BANK, COORDINATOR, CONSENT_SERVICE, EVERYONE, "cards", "data", FEDERATION_FILE, "results.json", "report.html"}
)
"""What no domain can be named: other parties, and other entries of a federation's folder."""

CONSENT_SECONDS: Final = 86_400
FIRST_NODE_ID: Final = 1001


class FederationFile(msgspec.Struct, frozen=True):
    """What `federation.json` says: public facts only.

    `data` is relative to the folder, or absolute; `uscc` tells whether enterprises go by unified social credit codes.
    """

    data: str
    key_bits: int
    domains: tuple[str, ...]
    uscc: bool
    model: str = ""


@dataclass(frozen=True, slots=True)
class Training:
    """A finished run as its bank sees it, with the traffic that it took."""

    scorecard: TrainedScorecard
    data: BankRows = field(repr=False)
    model: ModelFile = field(repr=False)
    traffic: Traffic
    leaks: dict[str, int]


def create_federation(folder: Path, description: DatasetDescription, key_bits: int, policy: NodePolicy) -> None:
    """Make every party's folder and keys below `folder`, and let all pin each other's cards.

    Every source is read and checked first. Raises: OSError; ConfigurationError if a source is wrong, a domain is
    named like another party or a file here, or a key cannot have this length.
    """
    nodes = [party_of(domain) for domain in description.node_domains]
    if RESERVED & set(nodes):
        taken = ", ".join(sorted(RESERVED & set(nodes)))
        raise ConfigurationError(f"a domain cannot be named {taken}", code="UNKNOWN_DOMAIN")
    if key_bits % 64:
        raise ConfigurationError(f"a key of {key_bits} bits: the length is a multiple of 64", code="KEY_LENGTH")
    uscc = _check_sources(description)
    roles = {COORDINATOR: PartyRole.COORDINATOR, CONSENT_SERVICE: PartyRole.CONSENT_SERVICE, BANK: PartyRole.BANK}
    roles |= dict.fromkeys(nodes, PartyRole.DATA_NODE)
    with_key = (PartyRole.BANK, PartyRole.DATA_NODE)
    cards = [
        create_party(folder / party, party, role, key_bits if role in with_key else None)
        for party, role in roles.items()
    ]
    write_cards(folder / "cards", cards)
    _create_log(folder, [*nodes, BANK])
    for node in nodes:
        (folder / node / "policy.json").write_bytes(msgspec.json.format(msgspec.json.encode(policy)))
    (folder / CONSENT_SERVICE / "withheld.txt").write_text("", encoding="utf-8")
    _write(folder, FederationFile(_data_path(folder, description.directory), key_bits, description.node_domains, uscc))


def _create_log(folder: Path, witnesses: list[PartyId]) -> None:
    """Make the log's key and each witness's, all apart from those that sign messages; every witness pins the log's."""
    log_key = create_log_signer(folder / COORDINATOR, LOG_NAME).verifier
    keys = tuple(create_witness(folder / party, witness_name(party), log_key) for party in witnesses)
    write_log_keys(folder / COORDINATOR, LogKeys(log_key, keys))


def witness_name(party: PartyId) -> str:
    """Return the name under which a party cosigns the log."""
    return f"credit-federation.local/witness/{party}"


def party_of(domain: str) -> PartyId:
    """Return the party id of a domain's node: the domain's name, in Punycode (RFC 3492) where it is not ASCII."""
    return PartyId(domain if domain.isascii() else f"xn-{domain.encode('punycode').decode()}")


def _check_sources(description: DatasetDescription) -> bool:
    """Read every source once; return whether enterprises go by USCC. Raises: ConfigurationError."""
    bank, _ = read_bank_source(description)
    uscc = uses_usccs(bank.ids)
    if uscc:
        require_usccs(description, BANK, bank.ids)
    for domain in description.node_domains:
        table = read_node_source(description, domain)
        if uscc:
            require_usccs(description, domain, table.ids)
    return uscc


def _data_path(folder: Path, data: Path) -> str:
    absolute, inside = data.resolve(), folder.resolve()
    return str(absolute.relative_to(inside)) if absolute.is_relative_to(inside) else str(absolute)


def _write(folder: Path, file: FederationFile) -> None:
    (folder / FEDERATION_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(file)) + b"\n")


class LocalFederation:
    """All parties of a folder, alive in this process. Use as a context manager; closing releases every file."""

    def __init__(
        self,
        folder: Path,
        observer: Observer | None = None,
        on_round: Callable[[RoundEvent], None] = lambda event: None,
        clock: Callable[[], int] = system_clock,
    ) -> None:
        """Load every party from its folder. Raises: ConfigurationError, VerificationFailed."""
        self.folder, self._clock, self._on_round = folder, clock, on_round
        self.file = read_federation(folder)
        self.description = read_description(folder / self.file.data)
        self.pins = read_cards(folder / "cards")
        self.traffic = Traffic()
        self._consents = read_keys(folder / CONSENT_SERVICE)
        self.domains = {party_of(domain): domain for domain in self.file.domains}
        self.tables = {node: read_node_source(self.description, domain) for node, domain in self.domains.items()}
        self.bank_table, self.outcomes = read_bank_source(self.description)
        with ExitStack() as files:
            self._grid = self._connect(files, observer)
            if self.log.witnessed_size < self.log.size:  # a new log, or a run that broke off
                self._collect_cosignatures()
            self._files = files.pop_all()

    def _connect(self, files: ExitStack, observer: Observer | None) -> EmbeddedGrid:
        """Bring every party to life and join them by a grid; what they open, `files` closes."""
        ledgers = {
            party: files.enter_context(closing(Ledger(self.folder / party / "ledger.sqlite")))
            for party in (*self.domains, BANK)
        }
        self.log, self.coordinator = self._open_coordinator(files, ledgers)
        self.bank = BankAgent(self._bank_site(ledgers[BANK]))
        doors = {node: DataNodeAgent(self._node_site(node, ledgers[node])).handle for node in self.domains}
        doors |= {BANK: self.bank.handle}
        self.names = dict(enumerate(doors, start=FIRST_NODE_ID))
        apps: dict[int, ClientApp] = {number: make_client_app(doors[party]) for number, party in self.names.items()}
        return EmbeddedGrid(apps, self.names, observer)

    def __enter__(self) -> LocalFederation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def _open_coordinator(self, files: ExitStack, ledgers: dict[PartyId, Ledger]) -> tuple[AuditLog, Coordinator]:
        """Open the log, if it holds what each witness last cosigned, and begin it with everybody's keys."""
        home = self.folder / COORDINATOR
        keys = read_keys(home)
        signer, witnesses = read_log_signer(home), read_log_keys(home).witnesses
        known = [note for ledger in ledgers.values() if (note := ledger.witness_note(signer.name)) is not None]
        log = files.enter_context(AuditLog(home / "log.sqlite", signer, witnesses, known=known))
        site = CoordinatorSite(keys, self.pins, log, self.file.key_bits, lambda: self._clock() * 1000)
        coordinator = Coordinator(site)
        if log.size == 0:
            for card in self.pins.cards.values():
                values: dict[str, str | int] = {"role": card.role.value, "key_hash": card.fingerprint()}
                coordinator.record(LeafKind.KEY, card.party, values)
            for party, key in self._witnesses(log).items():
                values = {"role": "witness", "key_hash": hashlib.sha256(key.vkey().encode()).hexdigest()}
                coordinator.record(LeafKind.KEY, party, values)
        return log, coordinator

    def _witnesses(self, log: AuditLog) -> dict[PartyId, VerifierKey]:
        """Return the log's witnesses by party."""
        keys = {key.name: key for key in log.keys.witnesses}
        names = {party: witness_name(party) for party in (*self.domains, BANK)}
        return {party: keys[name] for party, name in names.items() if name in keys}

    def _witness(self, party: PartyId, ledger: Ledger) -> LogWitness:
        home = self.folder / party
        return LogWitness(read_cosigner(home, witness_name(party)), read_log_key(home), ledger)

    def _node_site(self, node: PartyId, ledger: Ledger) -> NodeSite:
        home = self.folder / node
        return NodeSite(
            domain=self.domains[node],
            keys=read_keys(home),
            paillier=read_paillier(home),
            pins=self.pins,
            table=self.tables[node],
            policy=read_policy(home / "policy.json"),
            ledger=ledger,
            clock=self._clock,
            witness=self._witness(node, ledger),
        )

    def _bank_site(self, ledger: Ledger) -> BankSite:
        home = self.folder / BANK
        keys = read_keys(home)
        return BankSite(
            keys=keys,
            paillier=read_paillier(home),
            pins=self.pins,
            table=self.bank_table,
            outcomes=self.outcomes,
            log_key=read_log_key(home),
            tag_key=_tag_key(keys.to_bytes()),
            clock=self._clock,
            witness=self._witness(BANK, ledger),
            ledger=ledger,
        )

    # ---- what the bank asks for

    def train(self, split: Split, plan: TrainingPlan, minimum_bin: int, dataset: str = "") -> Training:
        """Train a scorecard over the grid and keep it at the bank, signed; `dataset` is what it calls its data.

        Raises: ConfigurationError, code COHORT_TOO_SMALL; PeerRefused with the node's code, PolicyDenied,
        VerificationFailed; no model is then kept.
        """
        if len(split.training) < minimum_bin:
            raise ConfigurationError(
                f"{len(split.training)} training rows are fewer than the {minimum_bin} that a sum must cover",
                code="COHORT_TOO_SMALL",
            )
        entries = tuple(
            NodeEntry(node, domain, self.pins.cards[node].fingerprint())
            for node, domain in sorted(self.domains.items())
        )
        terms = TrainingTerms(entries, minimum_bin=minimum_bin, plan=plan)
        consent = self._consent(cohort_subject(self.bank.cohort_ids(split)), Purpose.TRAINING)
        started = time.monotonic()
        transcript = self.bank.open_training(split, terms, consent)
        self.traffic.seconds["labels"] = time.monotonic() - started
        self._deliver()
        leaks = {leak.value: count for leak, count in self.coordinator.leaks.items()}
        as_of = DEFAULT_AS_OF.isoformat() if self.description.source(BANK).is_dir() else ""
        facts = RunFacts(dataset, as_of, self.traffic.rounds, leaks, self.description.label_column)
        scorecard, data, model = self.bank.trained(transcript, facts)
        write_model_file(self.folder / BANK / MODEL_FILE, model)
        self.file = msgspec.structs.replace(self.file, model=model.model)
        _write(self.folder, self.file)
        return Training(scorecard, data, model, self.traffic, leaks)

    def assess(self, enterprises: Sequence[str]) -> list[AssessmentResult]:
        """Ask all nodes about enterprises and return the results, in order; a denial is a result too.

        Raises: ConfigurationError without a trained model, or for a wrong code; PeerRefused, VerificationFailed,
        TransportError.
        """
        for enterprise in enterprises:
            self._check_identifier(enterprise)
        model = self.model()
        asked = [self.bank.ask(e, self._consent_of(e), model) for e in enterprises]
        self._deliver()
        return [self.bank.result(transcript) for transcript in asked]

    def _check_identifier(self, enterprise: str) -> None:
        if self.file.uscc:
            validate_uscc(enterprise)
        elif not is_identifier(enterprise):
            raise ConfigurationError("an enterprise's id is empty, too long, or not printable", code="INVALID_ID")

    def model(self) -> ModelFile:
        """Return the bank's model as it signed it. Raises: ConfigurationError, code NO_MODEL; VerificationFailed."""
        return read_model_file(self.folder / BANK / MODEL_FILE, self.pins.card(BANK, PartyRole.BANK))

    def _deliver(self) -> None:
        """Carry on until all is said, then have the log, which has grown, cosigned."""
        self._run(Mailroom(self.coordinator, BANK, self.traffic, self._on_round))
        self._collect_cosignatures()

    def _collect_cosignatures(self) -> None:
        """Ask every witness once. Raises: VerificationFailed if one proves that the log was rolled back or forked."""
        keys = read_keys(self.folder / COORDINATOR)
        self._run(Witnessing(keys, self.pins, self.log, self._witnesses(self.log)))

    def _run(self, rounds: Rounds) -> None:
        context = Context(run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config={})
        server_app(rounds)(self._grid, context)

    # ---- the consent service, which acts for the enterprises

    def withhold_consent(self, enterprise: str) -> None:
        """Let an enterprise refuse: the service issues no consent for it any more."""
        with (self.folder / CONSENT_SERVICE / "withheld.txt").open("a", encoding="utf-8") as file:
            file.write(f"{enterprise}\n")

    def _consent_of(self, enterprise: str) -> str:
        withheld = (self.folder / CONSENT_SERVICE / "withheld.txt").read_text(encoding="utf-8").split("\n")
        return "" if enterprise in withheld else self._consent(enterprise, Purpose.ASSESSMENT)

    def _consent(self, subject: str, purpose: Purpose) -> str:
        now = self._clock()
        token_id = secrets.token_hex(16)
        consent = Consent(subject, BANK, purpose, self.file.domains, now, now + CONSENT_SECONDS, token_id)
        return issue_consent(consent, self._consents)


def read_federation(folder: Path) -> FederationFile:
    """Read `federation.json`. Raises: ConfigurationError, code NOT_A_FEDERATION."""
    path = folder / FEDERATION_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=FederationFile)
    except OSError as error:
        raise ConfigurationError(f"{folder}: no {FEDERATION_FILE} there", code="NOT_A_FEDERATION") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ConfigurationError(f"{path}: {error}", code="NOT_A_FEDERATION") from error


def _tag_key(secret: bytes) -> bytes:
    """Derive the key of the bank's subject tags from its own secrets: tags link its queries for it alone."""
    return HKDF(SHA256(), 32, salt=None, info=b"credit-federation/tag-key/v1").derive(secret)


def split_rows(outcomes: NDArray[np.int64], test_size: float, seed: int) -> Split:
    """Return the split that every report names: stratified, by row numbers of the bank's file.

    Raises: ConfigurationError, code BAD_SPLIT, if the rows are too few to split so.
    """
    try:
        training, test = train_test_split(
            np.arange(len(outcomes)), test_size=test_size, random_state=seed, stratify=outcomes
        )
    except ValueError as error:
        raise ConfigurationError(f"{len(outcomes)} rows cannot be split: {error}", code="BAD_SPLIT") from error
    return Split(training, test, seed)
