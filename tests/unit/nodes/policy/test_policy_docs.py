"""The examples in the owners' documents are files that a node would start with."""

from __future__ import annotations

import re
from pathlib import Path

from nodes.features.owned import read_features_file
from nodes.policy import Request, decide, read_policy
from protocols.consent import Purpose

DOCS = Path(__file__).parents[4] / "docs"


def example(document: str, folder: Path, name: str) -> Path:
    found = re.search(r"```yaml\n(.*?)```", (DOCS / document).read_text(encoding="utf-8"), flags=re.DOTALL)
    assert found is not None
    path = folder / name
    path.write_text(found.group(1), encoding="utf-8")
    return path


def test_the_policy_in_the_document_decides_as_it_says(tmp_path: Path) -> None:
    policy = read_policy(example("policy.md", tmp_path, "policy.yaml"))
    assert decide(policy, Request("northern_bank", Purpose.ASSESSMENT)).code == "NODE_DENIED"
    assert decide(policy, Request("rural_bank", Purpose.ASSESSMENT)).granted().name == "local banks may assess"
    assert decide(policy, Request("rural_bank", Purpose.TRAINING)).code == "PURPOSE_DENIED"


def test_the_features_in_the_document_are_well_formed(tmp_path: Path) -> None:
    file = read_features_file(example("data-owners.md", tmp_path, "features.yaml"))
    assert [feature.name for feature in file.features] == ["vat_sales_12m"]
    assert "filed AS (" in file.statement()
