"""Keys are replaced while questions are asked: each kind at a node, at the bank, and not one question fails."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from federation.audit import AuditLog, read_log_keys, read_log_signer, verify_directory
from federation.audit.export.writing import export_log
from federation.cli.audit.logs import judge
from federation.local.federation import LocalFederation
from federation.local.layout import BANK, COORDINATOR
from nodes.bank.stream_service import StreamBankService
from nodes.keystore import read_cards, read_cosigner, read_keys
from protocols.channel.identity import PartyId
from protocols.transparency.leaves import LeafKind
from protocols.transparency.notes import parse_note
from tests.conftest import TrainedFederation
from tests.system.service_federation import ServiceFederation, prepare, up
from tests.system.test_services import assess_until, code_of, told

pytestmark = pytest.mark.slow

DEADLINE = 600.0


@pytest.fixture(scope="module")
def rotating(trained: TrainedFederation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceFederation]:
    """A federation of processes whose keys may be replaced."""
    folder = Path(shutil.copytree(trained.folder, tmp_path_factory.mktemp("rotating") / "federation"))
    with up(prepare(folder, node_seconds=20.0, witness_seconds=1.0)) as federation:
        yield federation


async def run_cli(*arguments: str) -> dict[str, str]:
    """Run `credfed` as an operator would; return what it prints as JSON."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "federation.cli", *arguments, "--json", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output
    found: dict[str, str] = json.loads(output)
    return found


async def ask_throughout(bank: StreamBankService, federation: ServiceFederation, done: Callable[[], bool]) -> list[str]:
    """Ask, several at a time, until something is done; return every answer's code."""
    codes: list[str] = []

    async def ask() -> None:
        while not done():
            codes.append(await code_of(bank, federation))

    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(ask() for _ in range(3)))
    return codes


def card_of(federation: ServiceFederation, party: str) -> str:
    return read_cards(federation.folder / "cards").fingerprint(PartyId(party))


def rotate_under_load(federation: ServiceFederation, party: str, key: str) -> list[str]:
    """Rotate one key of a party while the bank asks; return the answers' codes."""

    async def run() -> list[str]:
        async with federation.bank(query_seconds=40.0) as bank:
            await assess_until(bank, federation, "", 60)
            home = str(federation.folder / party)
            rotating = asyncio.create_task(run_cli("party", "rotate", "--home", home, "--key", key, "--wait", "300"))
            codes = await ask_throughout(bank, federation, rotating.done)
            assert rotating.result()["state"] == "rotated"
            await asyncio.sleep(1.0)
            return codes + [await code_of(bank, federation) for _ in range(5)]

    return asyncio.run(run())


@pytest.mark.parametrize("key", ["signing", "masks", "tls"])
def test_a_node_s_keys_are_replaced_and_no_question_fails(rotating: ServiceFederation, key: str) -> None:
    before, keys = card_of(rotating, "tax"), read_keys(rotating.folder / "tax")
    tls = (rotating.folder / "tax" / "tls" / "key.pem").read_bytes()
    codes = rotate_under_load(rotating, "tax", key)
    assert len(codes) > 10
    assert set(codes) == {""}
    after = read_keys(rotating.folder / "tax")
    assert (after.signing.private_bytes_raw() != keys.signing.private_bytes_raw()) == (key == "signing")
    assert (after.mask.private_bytes_raw() != keys.mask.private_bytes_raw()) == (key == "masks")
    assert ((rotating.folder / "tax" / "tls" / "key.pem").read_bytes() != tls) == (key == "tls")
    assert (card_of(rotating, "tax") != before) == (key != "tls")


@pytest.mark.parametrize("key", ["signing", "paillier"])
def test_the_bank_s_keys_are_replaced_and_no_question_fails(rotating: ServiceFederation, key: str) -> None:
    before, consent = card_of(rotating, BANK), rotating.consent(rotating.ids[3])
    codes = rotate_under_load(rotating, BANK, key)
    assert len(codes) > 10
    assert set(codes) == {""}
    assert card_of(rotating, BANK) != before

    async def ask_with_an_old_consent() -> str:
        async with rotating.bank() as bank:
            return (await bank.assess(rotating.ids[3], consent)).code

    assert asyncio.run(ask_with_an_old_consent()) == ""


def test_a_witness_s_key_is_replaced_and_cosigns_on(rotating: ServiceFederation) -> None:
    home, coordinator = rotating.folder / "tax", rotating.folder / COORDINATOR
    before = read_cosigner(home, "any").verifier.key
    codes = rotate_under_load(rotating, "tax", "witness")
    assert set(codes) == {""}
    after = read_cosigner(home, "any").verifier.key
    assert after != before
    limit = time.monotonic() + DEADLINE
    while (cosigned := cosigners(coordinator)).get(after) is None:
        assert time.monotonic() < limit, cosigned
        asyncio.run(ask_once(rotating))  # a log that does not grow is not cosigned
        time.sleep(1.0)
    keys = read_log_keys(coordinator)
    assert any(key.key == after and [old.key for old in key.earlier] == [before] for key in keys.witnesses)
    assert verify_directory(rotating.folder).ok


def cosigners(coordinator: Path) -> dict[bytes, int]:
    """Return the witness keys under the record beside the log, with the size of its tree."""
    note = parse_note((coordinator / "log.witnessed").read_bytes())
    size = int(note.text.split("\n")[1])
    found = [w.behind(line.key_id, size) for w in read_log_keys(coordinator).witnesses for line in note.signatures]
    return {key.key: size for key in found if key is not None}


async def ask_once(federation: ServiceFederation) -> str:
    async with federation.bank(query_seconds=40.0) as bank:
        await assess_until(bank, federation, "", DEADLINE)
        return await code_of(bank, federation)


def test_the_log_s_key_is_replaced_and_no_receipt_is_doubted(
    rotating: ServiceFederation, trained: TrainedFederation, tmp_path: Path
) -> None:
    before = read_log_keys(rotating.folder / COORDINATOR).log
    codes = rotate_under_load(rotating, COORDINATOR, "log")
    assert len(codes) > 10
    assert set(codes) == {""}
    after = read_log_keys(rotating.folder / COORDINATOR).log
    assert after.key != before.key
    assert before.key in [old.key for old in after.earlier]
    report = verify_directory(rotating.folder)
    assert report.ok
    export_log(rotating.folder, tmp_path / "export", report)
    trusted = trained.folder / COORDINATOR  # an auditor's copies of the keys, from before all rotations
    assert judge(tmp_path / "export", trusted).ok


def test_after_rotations_all_restart_and_answer_as_before(
    rotating: ServiceFederation, trained: TrainedFederation, tmp_path: Path
) -> None:
    """Also who was stopped meanwhile learns of the new keys before it is asked anything."""
    rotating.nodes["social"].stop()
    rotate = ("party", "rotate", "--home", str(rotating.folder / "housing"), "--key", "signing", "--key", "masks")
    assert asyncio.run(run_cli(*rotate, "--wait", "300"))["state"] == "rotated"
    rotating.nodes["social"].start()
    rotating.nodes["social"].wait_until_ready()
    enterprises = rotating.ids[:6]

    async def ask() -> list[object]:
        async with rotating.bank() as bank:
            await assess_until(bank, rotating, "", 60)
            return [told(await bank.assess(one, rotating.consent(one))) for one in enterprises]

    embedded = Path(shutil.copytree(trained.folder, tmp_path / "embedded"))
    with LocalFederation(embedded) as federation:
        expected = [told(result) for result in federation.assess(enterprises)]
    assert asyncio.run(ask()) == expected
    for process in (rotating.coordinator, *rotating.nodes.values()):
        process.stop()
        process.start()
    for process in (rotating.coordinator, *rotating.nodes.values()):
        process.wait_until_ready()
    assert asyncio.run(ask()) == expected


def test_a_rotation_is_a_key_leaf_of_a_log_that_verifies(rotating: ServiceFederation) -> None:
    rotate = ("party", "rotate", "--home", str(rotating.folder / "electricity"), "--key", "signing", "--key", "tls")
    assert asyncio.run(run_cli(*rotate, "--wait", "300"))["state"] == "rotated"
    rotating.coordinator.stop()
    assert verify_directory(rotating.folder).ok
    home = rotating.folder / COORDINATOR
    with AuditLog(home / "log.sqlite", read_log_signer(home), read_log_keys(home).witnesses) as log:
        leaves = [entry.leaf for entry in log.entries() if entry.leaf.kind is LeafKind.KEY]
    steps = {(leaf.actor, dict(leaf.attributes).get("step")) for leaf in leaves}
    assert {("electricity", "rotated"), ("electricity", "certified")} <= steps
    hashes = {dict(leaf.attributes)["key_hash"] for leaf in leaves}
    assert card_of(rotating, "electricity") in hashes
    rotating.coordinator.start()
    rotating.coordinator.wait_until_ready()


def test_the_coordinator_s_keys_change_at_a_restart_and_all_believe_the_new_ones(rotating: ServiceFederation) -> None:
    home, before = rotating.folder / COORDINATOR, card_of(rotating, COORDINATOR)
    drawn = asyncio.run(run_cli("party", "rotate", "--home", str(home), "--key", "signing", "--key", "tls"))
    assert "restart" in drawn["state"]
    rotating.coordinator.stop()
    rotating.coordinator.start()
    rotating.coordinator.wait_until_ready()
    assert card_of(rotating, COORDINATOR) != before

    async def ask() -> None:
        async with rotating.bank(query_seconds=40.0) as bank:
            await assess_until(bank, rotating, "", DEADLINE)

    asyncio.run(ask())
