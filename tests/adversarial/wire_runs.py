"""Real runs of a small federation whose every Flower message is kept, for the wire auditor to judge."""

from __future__ import annotations

import csv
import json
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from federation.local.federation import LocalFederation
from federation.local.founding import create_federation
from federation.local.layout import BANK
from federation.transcript import parcel_in
from nodes.bank.training.split import split_rows
from nodes.policy import TrainingRules, usual_policy
from nodes.sources import read_description
from protocols.channel.identity import PartyCard, PartyId
from protocols.errors import CreditFederationError
from protocols.scorecard.model import TrainingPlan
from protocols.uscc import synthetic
from protocols.wire_audit import Canaries, Code, Finding, Observation, Report, Terms, audit

KEY_BITS, ROWS, MINIMUM_BIN = 768, 240, 10
SHORT_KEYS = 0
NODES = {"tax": 3, "social": 2, "electricity": 1}


def write_dataset(folder: Path, bank_columns: int) -> None:
    """Node files of one economy: every feature leans on the same latent risk."""
    rng = np.random.default_rng(5)
    risk = rng.normal(size=ROWS)
    bad = (risk + rng.normal(size=ROWS) > 0.8).astype(int)
    ids = [synthetic(serial) for serial in range(ROWS)]
    columns = NODES | {"bank": bank_columns}
    names = {domain: [f"{domain}_{i}" for i in range(count)] for domain, count in columns.items()}
    folder.mkdir()
    (folder / "domains.json").write_text(json.dumps({"id": "uscc", "label": "default", "domains": names}))
    for domain, features in names.items():
        values = {name: (risk + rng.normal(size=ROWS)).round(6) for name in features}
        header = ["uscc", *features, *(["default"] if domain == "bank" else [])]
        with (folder / f"node_{domain}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            for row, name in enumerate(ids):
                label = [bad[row]] if domain == "bank" else []
                writer.writerow([name, *(values[feature][row] for feature in features), *label])


@dataclass
class Tape:
    """What passed in one run, and how its assessments ended."""

    cards: list[PartyCard]
    messages: list[tuple[PartyId, bool, bytes]] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    error: str = ""

    def observations(self) -> list[Observation]:
        return [Observation(party, inbound, data, parcel_in(data)) for party, inbound, data in self.messages]

    def judge(self, canaries: Canaries | None = None, cards: list[PartyCard] | None = None) -> Report:
        terms = Terms(SHORT_KEYS, canaries or Canaries.of())
        return audit(self.cards if cards is None else cards, self.observations(), terms)


class Site:
    """A federation's folder made once; each run works on a copy, so that ledgers and logs are fresh."""

    def __init__(self, folder: Path, bank_columns: int = 2) -> None:
        self.folder, self._runs = folder, 0
        write_dataset(folder / "data", bank_columns)
        self.description = read_description(folder / "data")
        policy = usual_policy((BANK,), training=TrainingRules(minimum_bin=MINIMUM_BIN, minimum_key_bits=512))
        create_federation(folder / "fed", self.description, KEY_BITS, policy)

    def run(self, refinements: int = 1, assessments: int = 0) -> Tape:
        """Train and assess, the last enterprise without consent; a run that fails is kept as far as it went."""
        self._runs += 1
        copy = self.folder / f"run{self._runs}"
        shutil.copytree(self.folder / "fed", copy)
        tape, passed = Tape([]), list[tuple[int, bool, bytes]]()
        names: dict[int, PartyId] = {}

        def observe(node: int, inbound: bool, data: bytes) -> None:
            passed.append((node, inbound, data))

        try:
            with LocalFederation(copy, observer=observe) as federation:
                tape.cards = list(federation.pins.cards.values())
                names.update(federation.names)
                split = split_rows(federation.outcomes, 0.3, 0)
                federation.train(split, TrainingPlan(refinements=refinements), MINIMUM_BIN)
                asked = federation.bank.cohort_ids(split)[:assessments]
                for enterprise in asked[1:][-1:]:
                    federation.withhold_consent(enterprise)
                tape.statuses = [result.status for result in federation.assess(asked)] if asked else []
        except CreditFederationError as error:
            tape.error = error.code
        tape.messages = [(names[node], inbound, data) for node, inbound, data in passed]
        with suppress(FileNotFoundError):
            shutil.rmtree(copy)
        return tape


def found(report: Report, code: Code, message: str = "") -> list[Finding]:
    """Return the findings of a code, in one kind of message if it is given."""
    return [f for f in report.findings if f.code is code and message in ("", f.message)]
