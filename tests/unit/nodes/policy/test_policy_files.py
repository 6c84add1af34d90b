"""`policy.yaml` reads back as it was written, and a slip in it is named with its place."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.policy import ConsentRules, NodePolicy, Quota, TrainingRules, policy_schema, read_policy, write_policy
from nodes.policy.rules import Effect, Rule
from protocols.consent import Purpose
from protocols.errors import ConfigurationError

GOOD = """
version: 1
rules:
  - name: the bank may assess   # and nobody else
    effect: allow
    banks: [bank]
    purposes: [assessment]
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "policy.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=30)
counts = st.integers(0, 1000)
rules = st.builds(
    Rule,
    texts,
    st.sampled_from(Effect),
    st.just("any") | st.lists(st.sampled_from(["bank", "on", "1e5", "other-bank"]), max_size=2).map(tuple),
    st.just("any") | st.lists(st.sampled_from(Purpose), max_size=2).map(tuple),
    st.just("any-signed") | st.just(("0" * 64, "1e" * 32)),
    st.just("all") | st.lists(texts, max_size=3).map(tuple),
    st.builds(ConsentRules, st.integers(1, 9), st.integers(1, 9)),
    st.builds(Quota, counts, counts, st.integers(8, 24)),
    st.builds(TrainingRules, st.integers(1, 99), st.integers(2, 256)),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(rules, max_size=3, unique_by=lambda rule: rule.name))
def test_a_policy_reads_back_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, some: list[Rule]) -> None:
    policy = NodePolicy(1, tuple(some))
    path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    write_policy(path, policy)
    assert read_policy(path) == policy


def test_what_a_rule_leaves_out_has_the_usual_numbers(tmp_path: Path) -> None:
    (rule,) = read_policy(written(tmp_path, GOOD)).rules
    assert (rule.models, rule.features, rule.quota, rule.training) == ("any-signed", "all", Quota(), TrainingRules())


SLIPS = {
    "empty": ("", "the document"),
    "cut": ("version: 1\nrules: [", "line"),
    "no rules": ("version: 1\n", "'rules' is a required property"),
    "another version": (GOOD.replace("version: 1", "version: 2"), "version"),
    "the old format": ('{"banks": ["bank"], "minimum_bin": 50}', "'version' is a required property"),
    "no bank named": (GOOD.replace("    banks: [bank]\n", ""), "rules[1]: 'banks' is a required property"),
    "one bank, no list": (GOOD.replace("[bank]", "bank"), "rules[1].banks"),
    "misspelt key": (GOOD + "    qouta: {per_day: 1}\n", "qouta"),
    "misspelt number": (GOOD + "    quota: {per_days: 1}\n", "rules[1].quota"),
    "k of zero": (GOOD + "    training: {minimum_bin: 0}\n", "rules[1].training.minimum_bin"),
    "full precision": (GOOD + "    quota: {score_bits: 64}\n", "rules[1].quota.score_bits"),
    "a purpose that is none": (GOOD.replace("assessment", "marketing"), "rules[1].purposes"),
    "an effect that is none": (GOOD.replace("allow", "maybe"), "rules[1].effect"),
    "a model that is no hash": (GOOD + "    models: [latest]\n", "rules[1].models"),
    "yes as a text": (GOOD.replace("the bank may assess", "yes"), "rules[1].name"),
    "the same key twice": (GOOD + "    banks: [bank, other]\n", "'banks' occurs twice"),
    "the same name twice": (GOOD + GOOD[GOOD.index("  - name") :], "two rules are named"),
    "a tag of Python's": ("!!python/object/apply:os.system [id]", "line 1"),
    "not UTF-8": (b"version: \xff", "UTF-8"),
    "ten thousand brackets": ("[" * 10_000, "policy.yaml"),
}


@pytest.mark.parametrize("case", SLIPS)
def test_a_policy_with_a_slip_in_it_is_refused_and_the_place_named(tmp_path: Path, case: str) -> None:
    text, place = SLIPS[case]
    with pytest.raises(ConfigurationError) as refusal:
        read_policy(written(tmp_path, text))
    assert refusal.value.code == "BAD_POLICY"
    assert "policy.yaml" in str(refusal.value)
    assert place in str(refusal.value)


def test_a_missing_policy_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read_policy(tmp_path / "policy.yaml")
    assert refusal.value.code == "BAD_POLICY"


def test_the_schema_is_one() -> None:
    schema = policy_schema()
    assert isinstance(schema, dict)
    jsonschema.Draft202012Validator.check_schema(schema)
