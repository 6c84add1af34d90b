"""A policy denies what it does not name, and its hash changes with every rule."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from nodes.policy import NodePolicy, read_policy
from protocols.consent import Purpose
from protocols.errors import BudgetExceeded, ConfigurationError, CreditFederationError, PolicyDenied
from protocols.scorecard.messages import NodeEntry, RunSpec

POLICY = NodePolicy(banks=("bank",))
SPEC = RunSpec(
    run=bytes(16),
    bank="bank",
    bank_card="0" * 64,
    nodes=tuple(NodeEntry(name, name, "0" * 64) for name in ("a", "b", "c")),
    created=0,
    key_bits=2048,
    rows=1000,
    training_rows=700,
    minimum_bin=50,
    fine_bins=32,
    row_totals=3,
    labels=bytes(32),
)


def test_a_run_at_every_limit_is_admitted() -> None:
    POLICY.check_run(SPEC)


@pytest.mark.parametrize(
    ("change", "error", "code"),
    [
        ({"bank": "other"}, PolicyDenied, "BANK_DENIED"),
        ({"minimum_bin": 49}, PolicyDenied, "NODE_DENIED"),
        ({"nodes": SPEC.nodes[:2]}, PolicyDenied, "TOO_FEW_NODES"),
        ({"key_bits": 2047}, PolicyDenied, "KEY_TOO_SHORT"),
        ({"row_totals": 4}, BudgetExceeded, "LEAK_BUDGET"),
    ],
)
def test_a_run_beyond_one_limit_is_not(
    change: dict[str, object], error: type[CreditFederationError], code: str
) -> None:
    with pytest.raises(error) as refusal:
        POLICY.check_run(msgspec.structs.replace(SPEC, **change))
    assert refusal.value.code == code


def test_nothing_is_allowed_by_default() -> None:
    with pytest.raises(PolicyDenied) as refusal:
        NodePolicy(banks=()).check_bank("bank", Purpose.ASSESSMENT)
    assert refusal.value.code == "BANK_DENIED"
    with pytest.raises(PolicyDenied) as refusal:
        NodePolicy(banks=("bank",), purposes=(Purpose.TRAINING,)).check_bank("bank", Purpose.ASSESSMENT)
    assert refusal.value.code == "PURPOSE_DENIED"


@pytest.mark.parametrize(
    "change",
    [
        {"banks": ("bank", "other")},
        {"purposes": (Purpose.TRAINING,)},
        {"minimum_bin": 51},
        {"minimum_nodes": 2},
        {"row_totals": 2},
        {"row_totals_per_year": 11},
        {"minimum_key_bits": 3072},
        {"queries_per_day": 1},
    ],
)
def test_every_rule_enters_the_hash(change: dict[str, object]) -> None:
    assert len(POLICY.digest()) == 32
    assert msgspec.structs.replace(POLICY, **change).digest() != POLICY.digest()


def test_a_policy_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(POLICY)))
    assert read_policy(path) == POLICY


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"{}",
        b'{"banks": "bank"}',
        b'{"banks": ["bank"], "minimum_bins": 50}',
        b'{"banks": ["bank"], "minimum_bin": 0}',
        b'{"banks": ["bank"], "purposes": ["marketing"]}',
        b'{"banks": ["\xff"]}',
        None,
    ],
    ids=["empty", "cut", "no banks", "no list", "misspelt rule", "k of zero", "purpose", "not utf-8", "no file"],
)
def test_a_policy_with_a_slip_in_it_is_refused_and_named(tmp_path: Path, text: bytes | None) -> None:
    path = tmp_path / "policy.json"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(ConfigurationError) as refusal:
        read_policy(path)
    assert refusal.value.code == "BAD_POLICY"
    assert "policy.json" in str(refusal.value)
