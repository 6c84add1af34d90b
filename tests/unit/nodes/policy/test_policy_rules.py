"""A policy denies what it does not allow, says which rule decides, and its hash changes with every rule."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nodes.policy import Effect, NodePolicy, Quota, Request, Rule, TrainingRules, decide, usual_policy
from nodes.policy.rules import ConsentRules
from protocols.consent import Purpose
from protocols.errors import BudgetExceeded, CreditFederationError, PolicyDenied
from protocols.scorecard.messages import NodeEntry, RunSpec

MODEL, OTHER = "a" * 64, "b" * 64
ASSESS = Request("bank", Purpose.ASSESSMENT, MODEL)
RULES = TrainingRules()
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


def rule(name: str, effect: Effect = Effect.ALLOW, **match: Any) -> Rule:
    return Rule(name, effect, match.pop("banks", "any"), match.pop("purposes", "any"), **match)


def test_a_run_at_every_limit_is_admitted() -> None:
    RULES.check(SPEC)


@pytest.mark.parametrize(
    ("change", "error", "code"),
    [
        ({"minimum_bin": 49}, PolicyDenied, "NODE_DENIED"),
        ({"minimum_bin": 51}, PolicyDenied, "BINNING"),
        ({"fine_bins": 31}, PolicyDenied, "BINNING"),
        ({"nodes": SPEC.nodes[:2]}, PolicyDenied, "TOO_FEW_NODES"),
        ({"key_bits": 2047}, PolicyDenied, "KEY_TOO_SHORT"),
        ({"row_totals": 4}, BudgetExceeded, "LEAK_BUDGET"),
    ],
)
def test_a_run_beyond_one_limit_is_not(
    change: dict[str, object], error: type[CreditFederationError], code: str
) -> None:
    with pytest.raises(error) as refusal:
        RULES.check(msgspec.structs.replace(SPEC, **change))
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ((), "BANK_DENIED"),
        ((rule("others", banks=("other",)),), "BANK_DENIED"),
        ((rule("none of them", Effect.DENY, banks=("other",)),), "BANK_DENIED"),
        ((rule("train", purposes=(Purpose.TRAINING,)),), "PURPOSE_DENIED"),
        ((rule("one model", models=(OTHER,)),), "MODEL_DENIED"),
        ((rule("closed", Effect.DENY), rule("open")), "NODE_DENIED"),
    ],
)
def test_what_no_rule_allows_is_denied(rules: tuple[Rule, ...], code: str) -> None:
    decision = decide(NodePolicy(1, rules), ASSESS)
    with pytest.raises(PolicyDenied) as refusal:
        decision.granted()
    assert refusal.value.code == decision.code == code


def test_the_first_rule_that_matches_decides_and_is_named() -> None:
    rules = (
        rule("training", purposes=(Purpose.TRAINING,)),
        rule("others", banks=("other",)),
        rule("bad model", Effect.DENY, models=(OTHER,)),
        rule("good model", models=(MODEL,), quota=Quota(per_day=1)),
        rule("all", quota=Quota(per_day=2)),
    )
    decision = decide(NodePolicy(1, rules), ASSESS)
    assert decision.granted() is rules[3]
    assert [name for name, _ in decision.passed_over] == ["training", "others", "bad model"]
    assert all(reason for _, reason in decision.passed_over)
    assert decide(NodePolicy(1, rules), Request("bank", Purpose.ASSESSMENT, OTHER)).rule is rules[2]
    assert decide(NodePolicy(1, rules), Request("bank", Purpose.ASSESSMENT, "c" * 64)).granted() is rules[4]
    assert decide(NodePolicy(1, rules), Request("bank", Purpose.TRAINING)).granted() is rules[0]


def test_a_rule_that_lists_models_says_nothing_of_training() -> None:
    policy = NodePolicy(1, (rule("one model", models=(MODEL,)),))
    assert decide(policy, Request("bank", Purpose.TRAINING)).code == "MODEL_DENIED"


def test_features_are_all_or_those_listed() -> None:
    assert rule("all").admits_features(["sales", "grade"])
    assert rule("some", features=("sales", "grade")).admits_features(["sales"])
    assert not rule("some", features=("sales",)).admits_features(["sales", "grade"])


def test_the_usual_policy_lets_the_named_banks_train_and_assess() -> None:
    policy = usual_policy(("bank",))
    for purpose in Purpose:
        assert purpose in decide(policy, Request("bank", purpose)).granted().purposes
        assert decide(policy, Request("stranger", purpose)).code == "BANK_DENIED"


CHANGES = [
    {"name": "renamed"},
    {"effect": Effect.DENY},
    {"banks": ("bank", "other")},
    {"purposes": "any"},
    {"models": (MODEL,)},
    {"features": ("sales",)},
    {"consent": ConsentRules(uses_at_most=1)},
    {"quota": Quota(per_subject=1)},
    {"training": TrainingRules(minimum_key_bits=3072)},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_every_rule_enters_the_hash(change: dict[str, object]) -> None:
    policy = usual_policy(("bank",))
    changed = msgspec.structs.replace(policy.rules[0], **change)
    assert len(policy.digest()) == 32
    assert NodePolicy(1, (changed, policy.rules[1])).digest() != policy.digest()
    assert {next(iter(each)) for each in CHANGES} == {entry.name for entry in msgspec.structs.fields(Rule)}


def test_the_order_of_rules_enters_the_hash() -> None:
    policy = usual_policy(("bank",))
    assert NodePolicy(1, policy.rules[::-1]).digest() != policy.digest()
