"""What is older than the retention is gone, bytes and all, and the log verifies; nothing younger can go that way."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg
import pytest
from audit_site import KEYS, Site, make_leaf

from federation.audit import AuditLog, LogReport, verify_directory
from federation.audit.errors import LEAF_ALTERED
from federation.audit.export.checking import verify_export
from federation.audit.export.writing import export_log
from protocols.transparency.leaves import Leaf
from protocols.transparency.orders import RETENTION_YEARS, ShredOrder
from tests.log_places import hand

OLD, YOUNG = 2020, 2024
SIZES = (64, 700, 5_000, 300_000)
"""Bodies within a page, and spread over many."""


def at(year: int) -> int:
    return int(datetime(year, 6, 1, tzinfo=UTC).timestamp() * 1000)


def leaf(number: int, year: int, body: bytes) -> Leaf:
    return msgspec.structs.replace(make_leaf(number, body), timestamp_ms=at(year))


def order(before: int, year: int) -> list[Leaf]:
    """The leaf of an order of that year that ends all years before another."""
    return ShredOrder("coordinator", (), before, at(year) // 1000, bytes(16)).leaves(at(year), bytes(32))


@pytest.fixture
def bodies() -> dict[int, list[bytes]]:
    return {year: [secrets.token_bytes(size) for size in SIZES] for year in (OLD, YOUNG)}


@pytest.fixture
def filled(site: Site, bodies: dict[int, list[bytes]]) -> Iterator[AuditLog]:
    """A log with bodies of two years, and leaves without."""
    with site.open() as log:
        for number, (old, young) in enumerate(zip(bodies[OLD], bodies[YOUNG], strict=True)):
            log.append([leaf(number, OLD, old), leaf(100 + number, OLD, b""), leaf(200 + number, YOUNG, young)])
        site.witness(log)
        yield log


def stored_bytes(site: Site) -> bytes:
    """All that the log's database has on the disk."""
    if not site.location.url:
        return b"".join(path.read_bytes() for path in sorted(site.path.parent.glob("log.sqlite*")))
    with psycopg.connect(site.location.url, autocommit=True) as server:
        server.execute("CHECKPOINT")
        (data,) = server.execute("SHOW data_directory").fetchone() or ("",)
        (database,) = server.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone() or (
            0,
        )
    return b"".join(path.read_bytes() for path in (Path(data) / "base" / str(database)).iterdir() if path.is_file())


def found(bodies: list[bytes], stored: bytes) -> list[bool]:
    """Whether any 32 bytes of each body, at its beginning, its middle or its end, are there."""
    return [any(body[i : i + 32] in stored for i in (0, len(body) // 2, len(body) - 32)) for body in bodies]


def failure(report: LogReport) -> tuple[int, str] | None:
    return None if report.failure is None else (report.failure.leaf, report.failure.code)


def test_after_the_retention_no_byte_of_a_body_is_on_the_disk_and_the_log_verifies(
    site: Site, filled: AuditLog, bodies: dict[int, list[bytes]]
) -> None:
    assert found(bodies[OLD], stored_bytes(site)) == [True] * len(SIZES)
    root = filled.root()
    filled.append(order(OLD + 1, OLD + 1 + RETENTION_YEARS))
    assert filled.erase_bodies(OLD + 1) == len(SIZES)
    stored = stored_bytes(site)
    assert found(bodies[OLD], stored) == [False] * len(SIZES)
    assert found(bodies[YOUNG], stored) == [True] * len(SIZES)
    site.witness(filled)
    assert failure(verify_directory(site.directory)) is None
    assert filled.root(3 * len(SIZES)) == root
    for index in range(filled.size):
        filled.prove(index).verify(filled.leaf_bytes(index), KEYS)
    kept = [entry.leaf.body for entry in filled.entries() if entry.leaf.body]
    assert kept == bodies[YOUNG]


def test_an_export_after_the_retention_verifies_without_the_bodies(
    site: Site, filled: AuditLog, bodies: dict[int, list[bytes]], tmp_path: Path
) -> None:
    filled.append(order(OLD + 1, OLD + 1 + RETENTION_YEARS))
    filled.erase_bodies(OLD + 1)
    site.witness(filled)
    export_log(site.directory, tmp_path / "out", verify_directory(site.directory))
    assert failure(verify_export(tmp_path / "out")) is None
    lines = (tmp_path / "out" / "leaves.jsonl").read_text().splitlines()
    younger = 3 * SIZES.index(5_000) + 2
    lines[younger] = json.dumps(json.loads(lines[younger]) | {"body": ""}, separators=(",", ":"))
    (tmp_path / "out" / "leaves.jsonl").write_text("\n".join(lines) + "\n")
    assert failure(verify_export(tmp_path / "out")) == (younger, LEAF_ALTERED)


@pytest.mark.parametrize("ordered", ["nothing", "too early", "an earlier year"])
def test_a_body_that_goes_without_an_order_after_the_retention_is_missed(
    site: Site, filled: AuditLog, ordered: str
) -> None:
    """Who holds the coordinator's keys cannot make the bodies of younger years disappear either."""
    if ordered == "too early":
        filled.append(order(OLD + 1, OLD + RETENTION_YEARS))
    if ordered == "an earlier year":
        filled.append(order(OLD, OLD + RETENTION_YEARS))
    filled.erase_bodies(OLD + 1)
    if ordered != "nothing":
        site.witness(filled)
    assert failure(verify_directory(site.directory)) == (0, LEAF_ALTERED)


@pytest.mark.parametrize(("index", "body"), [(0, b"another"), (2, b"")])
def test_after_the_retention_too_another_body_or_a_missing_younger_one_is_named(
    site: Site, filled: AuditLog, index: int, body: bytes
) -> None:
    filled.append(order(OLD + 1, OLD + 1 + RETENTION_YEARS))
    filled.erase_bodies(OLD + 1)
    site.witness(filled)
    with hand(site.location) as attacker:
        attacker.execute("UPDATE leaves SET body = ? WHERE idx = ?", (body, index))
    assert failure(verify_directory(site.directory)) == (index, LEAF_ALTERED)
