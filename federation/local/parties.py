"""Brings the parties of a folder to life, each from its own keys, records and rules."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from federation.audit import AuditLog, read_log_keys, read_log_signer
from federation.audit.bodies.shredder import SHRED_FILE, Shredder
from federation.audit.log.references import FILE as REFERENCES_FILE
from federation.audit.log.references import References
from federation.audit.storage.location import log_location
from federation.coordinator import Coordinator, CoordinatorSite
from federation.coordinator.consent_book import FILE as CONSENTS_FILE
from federation.coordinator.consent_book import ConsentBook
from federation.coordinator.consents import ConsentGate, read_issuers
from federation.coordinator.policies import PolicyBook
from federation.local.layout import COORDINATOR, FederationFile, witness_name
from nodes.bank.opening import derive_tag_key
from nodes.bank.site import BankSite
from nodes.bank.training.reported import Labelled, label_again
from nodes.consent_sources import ConsentSources
from nodes.data_node.rows import Rows
from nodes.data_node.site import NodeSite
from nodes.data_node.stop_switch import StopSwitch
from nodes.features import FeatureTable
from nodes.keyring import Keyring
from nodes.keystore import read_cosigner, read_earlier_paillier, read_keys, read_lasting, read_log_key, read_paillier
from nodes.ledger import (
    BankLedger,
    NodeLedger,
    Repair,
    WitnessRecords,
    ledger_location,
    open_bank_ledger,
    open_node_ledger,
)
from nodes.log_witness import LogWitness
from nodes.policy import POLICY_FILE, PolicyInForce
from nodes.sources import DatasetDescription, read_bank_source
from protocols.channel.identity import PartyId
from protocols.channel.pins import Pins
from protocols.transparency.leaves import LeafKind
from protocols.transparency.notes import VerifierKey


def read_labelled(
    folder: Path, description: DatasetDescription, file: FederationFile, now: int
) -> dict[PartyId, Labelled]:
    """Let every bank read its own source, and what was reported to its API. Raises: ConfigurationError."""
    return {
        party: label_again(folder / party, *read_bank_source(description, bank), now)
        for party, bank in file.bank_parties.items()
    }


class PartyOpener:
    """Opens parties from their folders; what they open, `files` closes."""

    def __init__(
        self,
        folder: Path,
        file: FederationFile,
        pins: Pins,
        clock: Callable[[], int],
        revocations: Callable[[], str],
        files: ExitStack,
    ) -> None:
        self._folder, self._file, self._pins, self._clock = folder, file, pins, clock
        self._revocations = revocations
        self._domains = file.node_parties
        self._files = files
        self._ledgers: dict[PartyId, NodeLedger] = {
            party: files.enter_context(closing(open_node_ledger(ledger_location(folder / party))))
            for party in self._domains
        }
        self._bank_ledgers: dict[PartyId, BankLedger] = {
            party: files.enter_context(closing(open_bank_ledger(ledger_location(folder / party))))
            for party in file.bank_parties
        }

    def coordinator(self) -> tuple[AuditLog, Coordinator]:
        """Open the log, if it holds what each witness last cosigned, and begin it with everybody's keys."""
        home = self._folder / COORDINATOR
        signer, witnesses = read_log_signer(home), read_log_keys(home).witnesses
        records = [ledger.witness for ledger in (*self._ledgers.values(), *self._bank_ledgers.values())]
        known = [note for record in records if (note := record.note(signer.name)) is not None]
        log = self._files.enter_context(AuditLog(log_location(home), signer, witnesses, known=known))
        gate = ConsentGate(read_issuers(home, self._pins), self._revocations)
        shredder = Shredder(home / SHRED_FILE)
        self.references = self._files.enter_context(closing(References(home / REFERENCES_FILE, log)))
        policies = PolicyBook(log, self.references, self._clock_ms)
        self.coordinator_site = CoordinatorSite(
            keys=read_keys(home),
            pins=self._pins,
            log=log,
            key_bits=self._file.key_bits,
            clock_ms=self._clock_ms,
            consents=gate,
            shredder=shredder,
            policies=policies,
            book=self._files.enter_context(closing(ConsentBook(home / CONSENTS_FILE, log))),
        )
        coordinator = Coordinator(self.coordinator_site)
        if log.size == 0:
            self._record_keys(coordinator, log)
        return log, coordinator

    def _clock_ms(self) -> int:
        return self._clock() * 1000

    def _record_keys(self, coordinator: Coordinator, log: AuditLog) -> None:
        for card in self._pins.cards.values():
            values: dict[str, str | int] = {"role": card.role.value, "key_hash": card.fingerprint()}
            coordinator.record(LeafKind.KEY, card.party, values)
        for party, key in self.witnesses(log).items():
            values = {"role": "witness", "key_hash": hashlib.sha256(key.vkey().encode()).hexdigest()}
            coordinator.record(LeafKind.KEY, party, values)

    def witnesses(self, log: AuditLog) -> dict[PartyId, VerifierKey]:
        """Return the log's witnesses by party."""
        keys = {key.name: key for key in log.keys.witnesses}
        names = {party: witness_name(party) for party in (*self._domains, *self._bank_ledgers)}
        return {party: keys[name] for party, name in names.items() if name in keys}

    def _ring(self, home: Path) -> Keyring:
        return Keyring(read_keys(home), read_paillier(home), self._pins, read_earlier_paillier(home))

    def _witness(self, party: PartyId, records: WitnessRecords) -> LogWitness:
        home = self._folder / party
        return LogWitness(read_cosigner(home, witness_name(party)), read_log_key(home), records, self._pins)

    def node(self, node: PartyId, read: Callable[[Sequence[Repair]], FeatureTable]) -> NodeSite:
        """Open a data node, which reads its own source. Raises: ConfigurationError, VerificationFailed."""
        home = self._folder / node
        return NodeSite(
            domain=self._domains[node],
            ring=self._ring(home),
            rows=Rows(read, self._ledgers[node].repairs),
            rules=PolicyInForce.of_file(home / POLICY_FILE),
            ledger=self._ledgers[node],
            switch=StopSwitch(home),
            consents=ConsentSources(read_issuers(home, self._pins), self._revocations),
            clock=self._clock,
            witness=self._witness(node, self._ledgers[node].witness),
        )

    def bank(self, bank: PartyId, labelled: Labelled) -> BankSite:
        """Open a bank. Raises: ConfigurationError, VerificationFailed."""
        home = self._folder / bank
        return BankSite(
            ring=self._ring(home),
            table=labelled.table,
            outcomes=labelled.outcomes,
            reported=labelled.counts,
            log_key=read_log_key(home),
            tag_key=derive_tag_key(read_lasting(home)),
            clock=self._clock,
            witness=self._witness(bank, self._bank_ledgers[bank].witness),
            ledger=self._bank_ledgers[bank],
        )
