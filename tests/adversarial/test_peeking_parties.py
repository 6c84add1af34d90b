"""Parties that look at everything they get: no byte shows an enterprise, a value or an outcome that is not theirs.

Training and assessments run over the real grid while every Flower message is recorded. Each party's bytes are then
searched twice: as they arrived, and with every envelope opened that its own keys open.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from federation.cli.training.results import build_results
from federation.local.federation import LocalFederation
from federation.local.layout import BANK, COORDINATOR
from nodes.bank.model.file import read_model_file
from nodes.flower_relay import PARCEL
from nodes.keystore import read_cards, read_keys, read_paillier
from protocols.assessment.layout import read
from protocols.assessment.messages import ScoreShare
from protocols.channel.envelope import _header_of, pack_refusal, unseal
from protocols.channel.identity import PartyRole
from protocols.channel.wire import decode
from protocols.errors import CreditFederationError, PeerRefused, TransportError, VerificationFailed
from protocols.paillier import CiphertextVector, decrypt
from protocols.scorecard.releases import combine
from tests.conftest import TrainedFederation
from tests.small_federation import CATEGORIES, KEY_BITS, NODES, NOW, PLAN, envelopes_in

Recorded = list[tuple[str, bool, bytes]]
LABEL_RUN = 64
"""So many outcomes in a row cannot match by chance: they hold some 50 bits."""


@dataclass(frozen=True)
class Watched:
    """A federation after training and two assessments each of three enterprises, with every message recorded."""

    folder: Path
    recorded: Recorded
    results: bytes
    outcomes: NDArray[np.int64]
    cohort_outcomes: NDArray[np.int64]


@pytest.fixture(scope="module")
def watched(trained: TrainedFederation, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    folder = Path(shutil.copytree(trained.folder, tmp_path_factory.mktemp("watched") / "federation"))
    seen: list[tuple[int, bool, bytes]] = []
    with LocalFederation(folder, lambda *message: seen.append(message), clock=lambda: NOW) as federation:
        federation.withhold_consent(trained.ids[3])
        for _ in range(2):
            assert [r.status for r in federation.assess(trained.ids[:4])] == ["ok", "ok", "ok", "denied"]
        recorded = [(federation.names[node], inbound, data) for node, inbound, data in seen]
        results = build_results("canaries", trained.training, KEY_BITS, PLAN, None)
        outcomes = federation.outcomes
    return Watched(
        folder,
        trained.recorded + recorded,
        msgspec.json.encode(results),
        outcomes,
        trained.training.data.bad,
    )


def received(watched: Watched, party: str) -> bytes:
    """The bytes that reached a party, as they are on the wire; the coordinator gets what all parties send."""
    if party == COORDINATOR:
        return b"".join(data for _, inbound, data in watched.recorded if not inbound)
    return b"".join(data for name, inbound, data in watched.recorded if name == party and inbound)


def opened(watched: Watched, party: str) -> bytes:
    """The bodies of all envelopes that reached a party, opened with its own keys where those open them."""
    keys = read_keys(watched.folder / party)
    bodies = []
    for name, inbound, data in watched.recorded:
        if inbound if party == COORDINATOR else name != party or not inbound:
            continue
        for envelope in envelopes_in(data):
            body = envelope.body
            if envelope.sealed and envelope.receiver == party:
                body = unseal(body, keys.sealing, _header_of(envelope))
            bodies.append(body)
    return b"".join(bodies)


def files_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


# ---- canaries


def enterprises(watched: Watched) -> list[bytes]:
    return [line.split(",")[0].encode() for line in _rows(watched, "bank")]


def _rows(watched: Watched, domain: str) -> list[str]:
    return (watched.folder / "data" / f"node_{domain}.csv").read_text(encoding="utf-8").splitlines()[1:]


def feature_values(watched: Watched, domain: str) -> NDArray[np.float64]:
    """All numbers in a party's file but its outcomes."""
    fields = itertools.chain.from_iterable(row.split(",")[1:] for row in _rows(watched, domain))
    return np.array([float(field) for field in fields if field.startswith(("69", "70"))])


def found_values(values: NDArray[np.float64], data: bytes) -> int:
    """How often one of `values` stands in `data`: as text, or as eight bytes of IEEE 754 in either order."""
    texts = {repr(float(value)) for value in values}
    count = sum(text.encode() in data or text.removesuffix(".0").encode() in data for text in texts)
    raw = np.frombuffer(data, dtype=np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(raw, 8)
    for order in ("<u8", ">u8"):
        count += int(np.isin(np.ascontiguousarray(windows).view(order).ravel(), values.view("<u8")).sum())
    return count


def label_patterns(outcomes: NDArray[np.int64]) -> Iterator[bytes]:
    """Runs of outcomes as any encoding of a vector would hold them: texts, bytes, words, floats, MessagePack, bits."""
    for start in range(0, len(outcomes) - 2 * LABEL_RUN, LABEL_RUN):
        run = outcomes[start : start + LABEL_RUN]
        if not 8 <= run.sum() <= LABEL_RUN - 8:
            continue
        yield bytes(run.tolist())
        for mark in ("", ",", "\n", " "):
            yield mark.join(map(str, run.tolist())).encode()
        for kind in ("<i2", ">i2", "<i4", ">i4", "<i8", ">i8", "<f4", "<f8", ">f8"):
            yield run.astype(kind).tobytes()
        yield msgspec.msgpack.encode([float(v) for v in run])[3:]
        for shift in range(8):
            shifted = outcomes[start + shift : start + shift + 2 * LABEL_RUN]
            yield np.packbits(shifted.astype(np.uint8)).tobytes()
            yield np.packbits(shifted.astype(np.uint8), bitorder="little").tobytes()


def found_labels(watched: Watched, data: bytes) -> int:
    vectors = (watched.outcomes, watched.cohort_outcomes, 1 - watched.outcomes, 1 - watched.cohort_outcomes)
    return sum(pattern in data for vector in vectors for pattern in label_patterns(vector))


def found(canaries: Iterable[bytes], data: bytes) -> int:
    return sum(canary in data for canary in canaries)


# ---- the search itself finds what is there


def test_the_search_finds_each_canary_where_it_lies(watched: Watched) -> None:
    ids = enterprises(watched)
    assert found(ids, (watched.folder / "data" / "node_bank.csv").read_bytes()) == len(ids) == 400
    values = feature_values(watched, "tax")
    assert len(values) > 300
    assert found_values(values, (watched.folder / "data" / "node_tax.csv").read_bytes()) >= 300
    for order in ("<f8", ">f8"):
        assert found_values(values, b"x" + values[:1].astype(order).tobytes()) == 1
    assert found([c.encode() for c in CATEGORIES], (watched.folder / "data" / "node_tax.csv").read_bytes()) == 5
    for vector in (watched.outcomes, 1 - watched.cohort_outcomes):
        for encoded in (
            bytes(vector.tolist()),
            np.packbits(np.append([1, 0, 1], vector).astype(np.uint8)).tobytes(),
            vector.astype(">f8").tobytes(),
            ",".join(map(str, vector.tolist())).encode(),
        ):
            assert found_labels(watched, b"abc" + encoded)
    assert not found_labels(watched, np.random.default_rng(0).bytes(1 << 18))


def test_every_message_was_recorded(watched: Watched) -> None:
    kinds = {envelope.message for _, _, data in watched.recorded for envelope in envelopes_in(data)}
    assert {"Cohort", "EncryptedLabels", "MaskedTotals", "CombinedTotals", "GradientShare", "SignedManifest"} <= kinds
    assert {"Query", "Subject", "ScoreShare", "Denial", "CombinedScore", "LogReceipt", "Acknowledgement"} <= kinds
    assert {name for name, _, _ in watched.recorded} == {*NODES, BANK}


# ---- the parties


@pytest.mark.parametrize("party", [COORDINATOR, BANK, *NODES])
def test_no_enterprise_is_named_in_what_a_party_gets(watched: Watched, party: str) -> None:
    assert found(enterprises(watched), received(watched, party)) == 0


def test_only_the_data_nodes_can_open_the_list_of_enterprises(watched: Watched) -> None:
    ids = enterprises(watched)
    for node in NODES:
        assert found(ids, opened(watched, node)) == len(ids)
    assert found(ids, opened(watched, COORDINATOR)) == 0
    assert found(ids, opened(watched, BANK)) == 0


@pytest.mark.parametrize("party", [COORDINATOR, BANK, *NODES])
def test_no_value_reaches_any_party(watched: Watched, party: str) -> None:
    """Not even its own value comes back to a party: nothing of a row is ever sent."""
    seen = received(watched, party) + opened(watched, party)
    for domain in (*NODES, "bank"):
        assert found_values(feature_values(watched, domain), seen) == 0
    assert found([category.encode() for category in CATEGORIES], seen) == 0


@pytest.mark.parametrize("party", [COORDINATOR, *NODES])
def test_no_outcome_reaches_any_party_but_the_bank(watched: Watched, party: str) -> None:
    assert found_labels(watched, received(watched, party)) == 0
    assert found_labels(watched, opened(watched, party)) == 0


def test_the_coordinators_folder_holds_no_canary(watched: Watched) -> None:
    kept = files_of(watched.folder / COORDINATOR)
    assert b"TRAIN_STEP" in kept
    assert found(enterprises(watched), kept) == 0
    assert found_labels(watched, kept) == 0
    for domain in (*NODES, "bank"):
        assert found_values(feature_values(watched, domain), kept) == 0


def test_a_node_keeps_no_canary_of_another_and_names_only_whom_it_was_asked_about(
    watched: Watched, trained: TrainedFederation
) -> None:
    for node in NODES:
        kept = files_of(watched.folder / node)
        assert found_labels(watched, kept) == 0
        for domain in {*NODES, "bank"} - {node}:
            assert found_values(feature_values(watched, domain), kept) == 0
        asked = {identifier.encode() for identifier in trained.ids[:4]}
        assert {code for code in enterprises(watched) if code in kept} == asked


def test_the_banks_files_and_results_hold_nothing_of_a_node(watched: Watched) -> None:
    kept = files_of(watched.folder / BANK) + watched.results
    assert b'"social"' in kept
    assert found(enterprises(watched), kept) == 0
    assert found_labels(watched, kept) == 0
    assert found([category.encode() for category in CATEGORIES], kept) == 0
    for node in NODES:
        assert found_values(feature_values(watched, node), kept) == 0


# ---- shares


def shares_by_query(watched: Watched) -> list[dict[str, bytes]]:
    """The ciphertext of each node in each answered query, as the bank received them."""
    queries: dict[bytes, dict[str, bytes]] = {}
    for name, inbound, data in watched.recorded:
        for envelope in envelopes_in(data) if name == BANK and inbound else ():
            if envelope.message == "ScoreShare":
                share = decode(envelope.body, ScoreShare).ciphertext
                queries.setdefault(envelope.transcript, {})[envelope.sender] = share
    return [shares for shares in queries.values() if set(shares) == set(NODES)]


def test_every_proper_subset_of_shares_decrypts_to_noise(watched: Watched) -> None:
    key = read_paillier(watched.folder / BANK)
    card = read_cards(watched.folder / "cards").card(BANK, PartyRole.BANK)
    manifest = read_model_file(watched.folder / BANK / "model.json", card).signed_manifest().manifest
    queries = shares_by_query(watched)
    assert len(queries) == 6
    noise: list[int] = []
    for shares in queries:
        for size in range(1, len(NODES) + 1):
            for subset in itertools.combinations(NODES, size):
                product = combine([shares[node] for node in subset], key.public_key)
                (value,) = decrypt(key, CiphertextVector.from_bytes(key.public_key, product))
                if size == len(NODES):
                    read(manifest, value)
                    continue
                noise.append(value)
                with pytest.raises(VerificationFailed) as refusal:
                    read(manifest, value)
                assert refusal.value.code == "RESULT_OUT_OF_RANGE"
    assert len(set(noise)) == len(noise) == 6 * 14
    bits = [value.bit_length() for value in noise]
    assert max(bits) > KEY_BITS - 8
    assert min(bits) > KEY_BITS - 24


def test_the_shares_of_one_enterprise_differ_each_time_it_is_asked_about(watched: Watched) -> None:
    ciphertexts = [share for shares in shares_by_query(watched) for share in shares.values()]
    assert len(set(ciphertexts)) == len(ciphertexts)


@pytest.mark.parametrize("how", ["says nothing", "fails", "refuses", "is another's app"])
def test_three_of_four_nodes_give_no_score(
    federation_folder: Path, trained: TrainedFederation, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        silent = next(number for number, name in federation.names.items() if name == "social")
        other = next(number for number, name in federation.names.items() if name == "tax")
        app = ClientApp()

        @app.query()
        def answer(message: Message, context: Context) -> Message:
            if how == "fails":
                raise KeyError(trained.ids[0])
            parcel = Array(np.frombuffer(pack_refusal("NODE_DENIED"), dtype=np.uint8))
            content = ArrayRecord({PARCEL: parcel} if how == "refuses" else {})
            return Message(RecordDict({PARCEL: content}), reply_to=message)

        apps = federation._grid._apps
        monkeypatch.setitem(apps, silent, apps[other] if how == "is another's app" else answer)
        with pytest.raises(CreditFederationError) as refusal:
            federation.assess([trained.ids[0]])
    assert isinstance(refusal.value, PeerRefused | TransportError | VerificationFailed)
    assert trained.ids[0] not in str(refusal.value)
