"""The pool: bounded, never hands out twice, serves bursts, stops cleanly."""

from __future__ import annotations

import secrets
import threading

import pytest

from protocols.paillier import Encryptor, ObfuscatorPool, OwnerEncryptor, PrivateKey, decrypt_signed


def test_the_stock_fills_to_its_capacity_and_not_beyond(key: PrivateKey) -> None:
    with ObfuscatorPool(key.public_key, secrets.token_bytes, capacity=20) as pool:
        assert pool.wait_until_full(30)
        assert pool.in_stock == 20
        assert len(pool.take(5)) == 5
        assert pool.wait_until_full(30)
        assert pool.in_stock == 20


def test_a_burst_beyond_the_stock_is_served_and_nothing_comes_twice(key: PrivateKey) -> None:
    with ObfuscatorPool(key.public_key, secrets.token_bytes, capacity=10) as pool:
        seen = [obfuscator.residue for count in (0, 3, 200, 1, 50) for obfuscator in pool.take(count)]
        assert len(set(seen)) == len(seen) == 254
        assert pool.in_stock <= 10


def test_encryptors_work_from_their_pool(key: PrivateKey) -> None:
    values = list(range(-20, 20))
    with ObfuscatorPool(key.public_key, secrets.token_bytes, 8) as pool:
        assert decrypt_signed(key, Encryptor(key.public_key, secrets.token_bytes, pool).encrypt(values)) == values
    with ObfuscatorPool.for_owner(key, secrets.token_bytes, 8) as pool:
        assert decrypt_signed(key, OwnerEncryptor(key, secrets.token_bytes, pool).encrypt(values)) == values


def test_threads_share_a_pool(key: PrivateKey) -> None:
    taken: list[int] = []
    with ObfuscatorPool(key.public_key, secrets.token_bytes, 16) as pool:

        def draw() -> None:
            for _ in range(20):
                taken.extend(int(obfuscator.residue) for obfuscator in pool.take(3))

        threads = [threading.Thread(target=draw) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(taken)) == len(taken) == 240


def test_close_ends_the_thread_and_drops_the_stock(key: PrivateKey) -> None:
    pool = ObfuscatorPool(key.public_key, secrets.token_bytes, 1000)
    pool.take(1)
    pool.close()
    pool.close()
    assert not [thread for thread in threading.enumerate() if thread is pool._thread]
    assert pool.in_stock == 0
    assert not pool.wait_until_full(0)
    with pytest.raises(ValueError, match="closed"):
        pool.take(1)


def test_misuse(key: PrivateKey, other_key: PrivateKey) -> None:
    with pytest.raises(ValueError, match="at least one"):
        ObfuscatorPool(key.public_key, secrets.token_bytes, 0)
    with ObfuscatorPool(key.public_key, secrets.token_bytes, 1) as pool, pytest.raises(ValueError, match="another key"):
        Encryptor(other_key.public_key, secrets.token_bytes, pool)
