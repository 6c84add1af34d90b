"""Several cores compute what one computes, refuse what one refuses, and leave nothing behind."""

from __future__ import annotations

import gc
import multiprocessing
import pickle
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from gmpy2 import mpz

from protocols.errors import VerificationFailed
from protocols.paillier import CiphertextVector, OwnerEncryptor, PrivateKey, decrypt, decrypt_signed, rerandomise
from protocols.paillier.cores import Cores, cores_in_use

ROWS = 5000
LINUX = sys.platform == "linux"
ORDERS: tuple[Literal["big", "little"], ...] = ("big", "little")


@pytest.fixture(scope="module")
def data(key: PrivateKey, owner: OwnerEncryptor) -> bytes:
    residues = list(owner.encrypt([3] * 72))
    products = [a * b % key.public_key.modulus_square for a in residues for b in residues]
    return CiphertextVector(key.public_key, products[:ROWS]).to_bytes()


def test_results_equal_those_of_one_core(key: PrivateKey, data: bytes) -> None:
    generator = np.random.default_rng(5)
    bins = generator.integers(0, 10, (ROWS, 8))
    weights = generator.integers(-128, 128, (ROWS, 4))
    single = CiphertextVector.from_bytes(key.public_key, data)
    expected = single.histograms(bins, [10] * 8), single.weighted_sums(weights)
    with Cores(2):
        vector = CiphertextVector.from_bytes(key.public_key, data)
        assert (vector.histograms(bins, [10] * 8), vector.weighted_sums(weights)) == expected
        unsplit = CiphertextVector(key.public_key, list(single))
        assert unsplit.histograms(bins, [10] * 8) == expected[0]
        some, kept = vector.take(np.arange(0, ROWS, 7)), np.flatnonzero(generator.random(ROWS) < 0.6)
        assert vector.take(kept).histograms(bins[kept], [10] * 8) == single.take(kept).histograms(bins[kept], [10] * 8)
        kept = kept[: ROWS // 2]  # a selection of a selection, in passes for which the rows are cut
        odd = single.take(kept).weighted_sums(weights[kept])
        assert vector.take(np.arange(ROWS)[::-1]).take(ROWS - 1 - kept).weighted_sums(weights[kept]) == odd
        assert decrypt(key, some[:40]) == [6] * 40
        assert decrypt_signed(key, rerandomise(some[:20], secrets.token_bytes)) == [6] * 20
    shared = _shared_memory()
    assert shared or not LINUX
    assert vector.histograms(bins, [10] * 8) == expected[0]
    del vector, unsplit, some
    gc.collect()
    assert not any(path.exists() for path in shared)
    assert not multiprocessing.active_children()


def test_long_vectors_are_encrypted_on_all_cores_and_the_private_key_stays(
    key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = list(range(-2000, 2100))
    with Cores(2) as cores:
        sent: list[bytes] = []
        processes = cores.processes

        def watched(function: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
            sent.append(pickle.dumps(tasks))
            return processes(function, tasks)

        monkeypatch.setattr(cores, "processes", watched)
        vector = OwnerEncryptor(key, secrets.token_bytes).encrypt(values)
        assert decrypt_signed(key, vector) == values
        assert len(set(vector)) == len(values)
    assert sent
    for data in sent:
        assert not any(int(secret).to_bytes(32, order) in data for secret in (key.p, key.q) for order in ORDERS)


def test_an_invalid_ciphertext_is_refused_on_any_core(key: PrivateKey, data: bytes) -> None:
    width = key.public_key.ciphertext_bytes
    with Cores(2):
        for position in (0, ROWS // 2, ROWS - 1):
            bad = bytearray(data)
            bad[position * width : (position + 1) * width] = key.public_key.n.to_bytes(width, "big")
            with pytest.raises(VerificationFailed):
                CiphertextVector.from_bytes(key.public_key, bytes(bad))


def test_rows_that_find_no_room_in_shared_memory_stay_in_the_process(
    key: PrivateKey, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: full)
    bins = np.arange(ROWS) % 10
    with Cores(2):
        vector = CiphertextVector.from_bytes(key.public_key, data)
        assert len(vector.histogram(bins, 10)) == 10
        assert not multiprocessing.active_children()


def test_small_work_stays_in_the_process(key: PrivateKey, owner: OwnerEncryptor) -> None:
    with Cores(2):
        vector = CiphertextVector.from_bytes(key.public_key, owner.encrypt([1] * 100).to_bytes())
        assert decrypt(key, vector.histogram(np.arange(100) % 2, 2)) == [50, 50]
        assert not multiprocessing.active_children()


def test_one_core_is_none_and_two_uses_at_once_are_an_error() -> None:
    with Cores(1) as cores:
        assert cores_in_use() is None
        assert cores.processes(mpz, [1, 2]) == cores.threads(mpz, [1, 2]) == [1, 2]
        with pytest.raises(RuntimeError, match="already"), Cores(2):
            pass
    with pytest.raises(ValueError, match="one core"):
        Cores(0)
    assert cores_in_use() is None


@pytest.mark.slow
def test_processes_and_shared_memory_go_when_their_parent_is_killed() -> None:
    program = [sys.executable, "-c", KILLED]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        processes = [int(number) for number in parent.stdout.readline().split()]
        assert len(processes) == 2
        shared = _shared_memory(parent.pid)
        assert shared or not LINUX
        parent.kill()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and (any(map(_is_alive, processes)) or any(path.exists() for path in shared)):
        time.sleep(0.1)
    assert not any(map(_is_alive, processes))
    assert not any(path.exists() for path in shared)


KILLED = """
import multiprocessing, secrets, time
from protocols.paillier import CiphertextVector, OwnerEncryptor, PrivateKey
from protocols.paillier.cores import Cores

key = PrivateKey.generate(512, secrets.token_bytes)
with Cores(2):
    data = OwnerEncryptor(key, secrets.token_bytes).encrypt([1] * 5000).to_bytes()
    vector = CiphertextVector.from_bytes(key.public_key, data)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    time.sleep(600)
"""


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def _shared_memory(process: int | str = "self") -> set[Path]:
    """Return the segments that a process has mapped: others come and go with other tests."""
    lines = Path(f"/proc/{process}/maps").read_text().splitlines() if LINUX else []
    return {Path(line.split()[-1]) for line in lines if "/dev/shm/psm_" in line}  # noqa: S108 - looked at, not written
