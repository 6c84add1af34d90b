"""A coordinator that rewrites its log between two runs, and witnesses that are silent, lie, or lose their answer.

The coordinator holds the log's key, so all that it shows is properly signed; only its witnesses stand against it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from federation.audit import AuditLog, read_log_keys, read_log_signer, verify_directory
from federation.cli.audit.ledgers import open_ledgers
from federation.grid import EmbeddedGrid
from federation.local.federation import LocalFederation
from federation.local.layout import BANK, COORDINATOR, LOG_NAME, witness_name
from federation.rounds import Deliveries
from federation.witnessing import Witnessing
from nodes.consent_sources import consent_sources
from nodes.data_node.agent import DataNodeAgent
from nodes.data_node.rows import Rows
from nodes.data_node.site import NodeSite
from nodes.data_node.stop_switch import StopSwitch
from nodes.flower_relay import make_client_app
from nodes.keyring import Keyring
from nodes.keystore import read_cards, read_cosigner, read_keys, read_log_key, read_paillier
from nodes.ledger import open_node_ledger
from nodes.log_witness import LogWitness
from nodes.policy import PolicyInForce
from nodes.sources import read_description, read_node_source
from protocols.channel.envelope import Channel, Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyId
from protocols.channel.wire import Message, decode
from protocols.errors import PeerRefused, VerificationFailed
from protocols.transparency import Leaf, LeafKind, NoteSigner, verify_split_view
from protocols.transparency.checkpoints import sign_checkpoint, verify_cosignatures
from protocols.transparency.messages import CheckpointCosignature, CheckpointOffer, CheckpointRefusal, SplitViewProof
from protocols.transparency.notes import parse_note
from protocols.transparency.witness import AddCheckpoint
from tests.small_federation import NODES, NOW, POLICY, codes

PARTIES = [PartyId(party) for party in NODES]
Door = Callable[[bytes], bytes]


def assess(folder: Path, count: int = 1) -> None:
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        assert [result.status for result in federation.assess(codes()[:count])] == ["ok"] * count


def known_notes(directory: Path, origin: str) -> list[bytes]:
    """Return every note of the log that a party of the folder holds: what the log must still contain."""
    with open_ledgers(directory) as ledgers:
        return [note for ledger in ledgers.values() for note in ledger.log_notes(origin)]


class Coordinator:
    """A coordinator that opens its log without asking what the witnesses hold, and offers it to three real agents."""

    def __init__(self, folder: Path) -> None:
        home = folder / COORDINATOR
        self.keys, self.pins, self.signer = read_keys(home), read_cards(folder / "cards"), read_log_signer(home)
        self.log = AuditLog(home / "log.sqlite", self.signer, read_log_keys(home).witnesses)
        self.ledgers = {party: open_node_ledger(folder / party / "ledger.sqlite") for party in PARTIES}
        self.doors: dict[PartyId, Door] = {party: self._agent(folder, party).handle for party in PARTIES}

    def _agent(self, folder: Path, party: PartyId) -> DataNodeAgent:
        home = folder / party
        signer, records = read_cosigner(home, witness_name(party)), self.ledgers[party].witness
        witness = LogWitness(signer, read_log_key(home), records, self.pins)
        return DataNodeAgent(
            NodeSite(
                domain=party,
                ring=Keyring(read_keys(home), read_paillier(home), self.pins),
                rows=Rows(
                    partial(read_node_source, read_description(folder / "data"), party), self.ledgers[party].repairs
                ),
                rules=PolicyInForce(POLICY),
                ledger=self.ledgers[party],
                switch=StopSwitch(home),
                consents=consent_sources(home, self.pins),
                clock=lambda: NOW,
                witness=witness,
            )
        )

    def close(self) -> None:
        self.log.close()
        for ledger in self.ledgers.values():
            ledger.close()

    def append(self, count: int, actor: str = "forged") -> None:
        self.log.append([Leaf(kind=LeafKind.AUDIT_VIEW, timestamp_ms=n, actor=actor) for n in range(count)])

    def collect(self) -> Witnessing:
        """Ask all witnesses over Flower's grid, as `LocalFederation` does; the bank is not connected."""
        names = dict(enumerate(map(str, self.doors), start=1))
        grid = EmbeddedGrid(
            {number: make_client_app(self.doors[PartyId(name)]) for number, name in names.items()}, names
        )
        keys = {key.name: key for key in self.log.keys.witnesses}
        found = Witnessing(self.keys, self.pins, self.log, {p: keys[witness_name(p)] for p in (*PARTIES, BANK)})
        Deliveries(found.collect, "checkpoint").run(grid)
        return found

    def offer(self, party: PartyId, request: AddCheckpoint, sender: Path | None = None) -> Message:
        """Offer one witness anything; return its cosignature or refusal. Raises: PeerRefused."""
        message = CheckpointOffer(request.encode())
        channel = Channel(self.keys if sender is None else read_keys(sender), self.pins.cards, message.transcript())
        (answer,) = open_parcel(self.doors[party](pack_parcel((channel.wrap(party, message, sealed=False),))))
        kind = CheckpointRefusal if answer.message == "CheckpointRefusal" else CheckpointCosignature
        return channel.read_open(answer, kind)

    def refusal(self, party: PartyId, request: AddCheckpoint) -> CheckpointRefusal:
        answer = self.offer(party, request)
        assert isinstance(answer, CheckpointRefusal)
        return answer


@pytest.fixture
def honest(federation_folder: Path) -> Iterator[Coordinator]:
    site = Coordinator(federation_folder)
    yield site
    site.close()


@pytest.fixture
def rolled_back(federation_folder: Path, tmp_path: Path) -> Path:
    """A federation whose coordinator has put all of its own files back to before the last assessment."""
    old = shutil.copytree(federation_folder / COORDINATOR, tmp_path / "old")
    assess(federation_folder)
    shutil.rmtree(federation_folder / COORDINATOR)
    shutil.copytree(old, federation_folder / COORDINATOR)
    return federation_folder


@pytest.fixture
def dishonest(rolled_back: Path) -> Iterator[Coordinator]:
    site = Coordinator(rolled_back)
    yield site
    site.close()


# --- what honest parties have: everything is witnessed after each batch


def test_after_each_run_every_party_has_cosigned_the_whole_log(federation_folder: Path) -> None:
    for _ in range(2):
        assess(federation_folder)
        report = verify_directory(federation_folder, known_notes(federation_folder, LOG_NAME))
        assert report.ok
        assert report.witnessed_size == report.leaves
        record = parse_note((federation_folder / COORDINATOR / "log.witnessed").read_bytes())
        assert (
            len(verify_cosignatures(record, read_log_keys(federation_folder / COORDINATOR).witnesses)) == len(NODES) + 1
        )


def test_the_keys_of_log_and_witnesses_sign_nothing_else(federation_folder: Path) -> None:
    keys = read_log_keys(federation_folder / COORDINATOR)
    signing = {card.verify_key for card in read_cards(federation_folder / "cards").cards.values()}
    assert {keys.log.key, *(witness.key for witness in keys.witnesses)}.isdisjoint(signing)
    for party in (*PARTIES, BANK):
        assert read_log_key(federation_folder / party) == keys.log
        assert (federation_folder / party / "witness.key").stat().st_mode & 0o777 == 0o600
    assert (federation_folder / COORDINATOR / "log.key").stat().st_mode & 0o777 == 0o600


# --- rolled back


def test_a_log_put_back_between_two_runs_does_not_start(federation_folder: Path, tmp_path: Path) -> None:
    log = federation_folder / COORDINATOR / "log.sqlite"
    shutil.copy(log, tmp_path)
    assess(federation_folder)
    shutil.copy(tmp_path / "log.sqlite", log)
    with pytest.raises(VerificationFailed) as error, LocalFederation(federation_folder):
        pass
    assert error.value.code == "LOG_ROLLED_BACK"


def test_a_coordinator_put_back_altogether_does_not_start_and_does_not_verify(rolled_back: Path) -> None:
    with pytest.raises(VerificationFailed) as error, LocalFederation(rolled_back):
        pass
    assert error.value.code == "LOG_ROLLED_BACK"
    assert verify_directory(rolled_back).ok, "nothing at the coordinator itself shows it"
    failure = verify_directory(rolled_back, known_notes(rolled_back, LOG_NAME)).failure
    assert failure is not None
    assert (failure.code, failure.leaf) == ("LEAF_MISSING", verify_directory(rolled_back).leaves)


def test_witnesses_refuse_a_rolled_back_log(dishonest: Coordinator) -> None:
    before = {party: ledger.witness.note(LOG_NAME) for party, ledger in dishonest.ledgers.items()}
    for party in PARTIES:
        refusal = dishonest.refusal(party, dishonest.log.witness_request(dishonest.log.size))
        assert (refusal.code, refusal.last_note) == ("LOG_ROLLED_BACK", before[party])
    assert {party: ledger.witness.note(LOG_NAME) for party, ledger in dishonest.ledgers.items()} == before


def test_the_refusal_stops_the_coordinator(dishonest: Coordinator) -> None:
    with pytest.raises(VerificationFailed) as error:
        dishonest.collect()
    assert error.value.code == "LOG_ROLLED_BACK"


# --- forked: put back, and then grown in another direction


def test_witnesses_convict_a_forked_log_and_keep_the_proof(dishonest: Coordinator, rolled_back: Path) -> None:
    with open_ledgers(rolled_back) as ledgers:
        seen = parse_note(ledgers[PARTIES[0]].log_notes(LOG_NAME)[0])
    size = int(seen.text.split("\n")[1])
    dishonest.append(40)
    for party in PARTIES:
        refusal = dishonest.refusal(party, dishonest.log.witness_request(size))
        assert refusal.code == "LOG_FORKED"
        assert refusal.split_view is not None
        verify_split_view(refusal.split_view.evidence(), dishonest.signer.verifier)
        kept = dishonest.ledgers[party].witness.split_view(LOG_NAME)
        assert kept is not None
        verify_split_view(decode(kept, SplitViewProof).evidence(), dishonest.signer.verifier)
    failure = verify_directory(rolled_back, known_notes(rolled_back, LOG_NAME)).failure
    assert failure is not None
    assert failure.code == "ROOT_MISMATCH"


def test_a_convicted_log_is_never_cosigned_again(dishonest: Coordinator) -> None:
    party = PARTIES[0]
    last = dishonest.ledgers[party].witness.note(LOG_NAME)
    assert last is not None
    size = int(parse_note(last).text.split("\n")[1])
    dishonest.append(40)
    first = dishonest.refusal(party, dishonest.log.witness_request(size))
    extension = AddCheckpoint(size, (), last)
    assert dishonest.refusal(party, extension) == first
    dishonest.doors[party] = dishonest._agent(Path(dishonest.log._location.path).parents[1], party).handle
    assert dishonest.refusal(party, extension) == first, "also after a restart"


def test_a_fork_of_the_same_size_stops_the_coordinator(dishonest: Coordinator) -> None:
    last = dishonest.ledgers[PARTIES[0]].witness.note(LOG_NAME)
    assert last is not None
    dishonest.append(int(parse_note(last).text.split("\n")[1]) - dishonest.log.size)
    with pytest.raises(VerificationFailed) as error:
        dishonest.collect()
    assert error.value.code == "LOG_FORKED"


def test_a_longer_fork_that_starts_from_the_old_size_is_not_cosigned(dishonest: Coordinator) -> None:
    dishonest.append(40)
    with pytest.raises(VerificationFailed) as error:
        dishonest.collect()
    assert error.value.code == "LOG_FORKED"
    assert dishonest.log.witnessed_size < dishonest.log.size - 39


# --- others who offer, and what is not the log's


def test_only_the_coordinator_offers_checkpoints(honest: Coordinator, federation_folder: Path) -> None:
    honest.append(1, "coordinator")
    request = honest.log.witness_request(honest.log.size - 1)
    with pytest.raises(PeerRefused) as error:
        honest.offer(PARTIES[0], request, sender=federation_folder / BANK)
    assert error.value.code == "VERIFICATION_FAILED"
    assert isinstance(honest.offer(PARTIES[0], request), CheckpointCosignature)


def test_a_checkpoint_under_another_key_is_refused(honest: Coordinator) -> None:
    stranger = NoteSigner(LOG_NAME, honest.keys.signing)
    note = sign_checkpoint(stranger, 500, bytes(32)).encode()
    size = honest.log.size
    assert honest.refusal(PARTIES[0], AddCheckpoint(size, (), note)).code == "CHECKPOINT_NOT_SIGNED"


@pytest.mark.parametrize("request_bytes", [b"", b"old 3\n\n", b"\xff" * 40])
def test_an_offer_of_junk_is_refused(honest: Coordinator, request_bytes: bytes) -> None:
    message = CheckpointOffer(request_bytes)
    channel = Channel(honest.keys, honest.pins.cards, message.transcript())
    parcel = pack_parcel((channel.wrap(PARTIES[0], message, sealed=False),))
    (answer,) = open_parcel(honest.doors[PARTIES[0]](parcel))
    assert channel.read_open(answer, CheckpointRefusal).code == "MALFORMED_MESSAGE"


# --- witnesses that fail


def silent(parcel: bytes) -> bytes:
    return b"\xc1 nothing that decodes"


def test_a_quorum_suffices(honest: Coordinator) -> None:
    honest.append(3, "coordinator")
    found = honest.collect()
    assert found.cosigned == set(PARTIES)
    assert found.refused == {BANK: "NO_ANSWER"}
    assert honest.log.witnessed_size == honest.log.size


def test_too_few_witnesses_leave_the_new_leaves_unwitnessed(
    honest: Coordinator, caplog: pytest.LogCaptureFixture
) -> None:
    before = honest.log.witnessed_size
    honest.append(3, "coordinator")
    honest.doors[PARTIES[0]] = silent
    found = honest.collect()
    assert found.cosigned == set(PARTIES[1:])
    assert found.refused == {BANK: "NO_ANSWER", PARTIES[0]: "MALFORMED_MESSAGE"}
    assert honest.log.witnessed_size == before
    assert f"{len(NODES) - 1} of {len(NODES) + 1} witnesses" in caplog.text


def lying(site: Coordinator, folder: Path, party: PartyId, make: Callable[[CheckpointOffer], Message]) -> Door:
    """A witness that answers what `make` says, in its own name."""

    def door(parcel: bytes) -> bytes:
        (offer,) = open_parcel(parcel)
        channel = Channel(read_keys(folder / party), site.pins.cards, offer.transcript)
        answer: Envelope = channel.wrap(COORDINATOR, make(decode(offer.body, CheckpointOffer)), sealed=False)
        return pack_parcel((answer,))

    return door


def test_a_witness_without_proof_convicts_nobody(honest: Coordinator, federation_folder: Path) -> None:
    honest.append(3, "coordinator")
    true_note = honest.log.checkpoint()
    stranger = sign_checkpoint(NoteSigner(LOG_NAME, honest.keys.signing), 500, bytes(32)).encode()
    lies: list[tuple[Message, str]] = [
        (CheckpointRefusal("LOG_ROLLED_BACK"), "LOG_ROLLED_BACK"),
        (CheckpointRefusal("LOG_ROLLED_BACK", stranger), "CHECKPOINT_NOT_SIGNED"),
        (
            CheckpointRefusal("LOG_FORKED", b"", SplitViewProof(true_note, stranger, bytes(32), ())),
            "CHECKPOINT_NOT_SIGNED",
        ),
        (CheckpointRefusal("WITNESS_CONFLICT", true_note), "WITNESS_CONFLICT"),
        (CheckpointCosignature(b"junk"), "MALFORMED_MESSAGE"),
        (CheckpointCosignature(b"\xff\xfe"), "MALFORMED_MESSAGE"),
    ]
    for lie, code in lies:
        honest.doors[PARTIES[0]] = lying(honest, federation_folder, PARTIES[0], lambda offer, lie=lie: lie)  # type: ignore[misc]
        found = honest.collect()
        assert found.refused[PARTIES[0]] == code
        assert found.cosigned == set(PARTIES[1:])


def test_a_cosignature_of_another_is_not_counted(honest: Coordinator, federation_folder: Path) -> None:
    honest.append(3, "coordinator")
    other = honest.offer(PARTIES[1], honest.log.witness_request(honest.log.size - 3))
    honest.doors[PARTIES[0]] = lying(honest, federation_folder, PARTIES[0], lambda offer: other)
    found = honest.collect()
    assert PARTIES[0] not in found.cosigned
    assert found.refused[PARTIES[0]] == "VERIFICATION_FAILED"


def test_a_cosignature_that_was_lost_is_given_again(honest: Coordinator) -> None:
    """The witness has stored and signed, the coordinator never learned of it: they agree again one exchange later."""
    honest.append(3, "coordinator")
    honest.offer(PARTIES[0], honest.log.witness_request(honest.log.size - 3))
    honest.append(2, "coordinator")
    found = honest.collect()
    assert found.cosigned == set(PARTIES)
    assert honest.log.witnessed_size == honest.log.size
