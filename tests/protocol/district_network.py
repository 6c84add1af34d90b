"""A run in which the tax domain is split over two districts, and the one node that would hold all its rows."""

from __future__ import annotations

import secrets

import msgspec
import numpy as np
from numpy.typing import NDArray

from nodes.data_node.survey import DistrictSurvey
from protocols.channel.identity import PartyId
from protocols.paillier import PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.bank import BankTraining
from protocols.scorecard.district_node import DistrictTraining
from protocols.scorecard.model import BankRows, TrainingPlan
from protocols.scorecard.node import NodeTraining
from protocols.scorecard.relay import RelayTraining
from protocols.scorecard.rows import BinnedRows

from .network import BANK, COORDINATOR, Network, RecordingSite, binned, economy

MINIMUM = 20
NORTH, SOUTH, SOCIAL = PartyId("tax_north"), PartyId("tax_south"), PartyId("social")
Column = NDArray[np.float64] | NDArray[np.object_]


class DistrictSite(RecordingSite):
    """A site with raw columns of its own enterprises; those it does not know are missing."""

    def __init__(self, columns: dict[str, Column], training_rows: int) -> None:
        super().__init__(BinnedRows((), np.empty((0, 0), dtype=np.uint16)))
        self.columns, self.training_rows = columns, training_rows

    def survey(self, spec: m.RunSpec, cohort: m.Cohort) -> DistrictSurvey:
        return DistrictSurvey(self.columns, self.training_rows, spec.fine_bins, spec.minimum_bin)


def tax_columns(bad: NDArray[np.int64], seed: int) -> dict[str, Column]:
    """A number near 7,000,000, a skewed one with gaps and negatives, and a category, all about the outcome."""
    rng = np.random.default_rng(seed)
    risk = bad + rng.normal(size=len(bad))
    skewed = np.where(rng.random(len(bad)) < 0.1, np.nan, np.sinh(2 * (risk + rng.normal(size=len(bad)))))
    grades = np.array([f"grade {value}" for value in np.clip(np.rint(risk + 2), 0, 4)], dtype=object)
    grades[rng.random(len(bad)) < 0.05] = None
    return {"sales": 7e6 + np.rint(8000 * (risk + rng.normal(size=len(bad)))) / 8, "arrears": skewed, "grade": grades}


def known_to(columns: dict[str, Column], known: NDArray[np.bool_]) -> dict[str, Column]:
    """The columns with the values of all other enterprises missing."""
    return {
        name: np.where(known, column, np.nan if column.dtype == np.float64 else None)  # type: ignore[arg-type]
        for name, column in columns.items()
    }


class DistrictNetwork(Network):
    """A bank, a social node, and the tax domain in two districts; a tenth of the enterprises is known to neither."""

    def __init__(self, rows: int = 500, training_rows: int = 400, plan: TrainingPlan | None = None) -> None:
        parts, bad = economy(3, {BANK: 1, SOCIAL: 2}, 0.8, rows, training_rows)
        plan = plan or TrainingPlan(refinements=1)
        empty = binned([], [], training_rows)
        data = BankRows(parts.pop(BANK), bad, training_rows)
        super().__init__(parts | {NORTH: empty, SOUTH: empty}, data, plan, MINIMUM)
        self.columns = tax_columns(bad, 5)
        self.where = np.random.default_rng(8).choice(3, size=rows, p=[0.5, 0.4, 0.1])
        for district, number in ((NORTH, 0), (SOUTH, 1)):
            self.sites[district] = DistrictSite(known_to(self.columns, self.where == number), training_rows)
        domains = {NORTH: "tax", SOUTH: "tax"}
        entries = tuple(
            msgspec.structs.replace(n, domain=domains.get(PartyId(n.party), n.domain)) for n in self.spec.nodes
        )
        self.spec = msgspec.structs.replace(self.spec, nodes=entries)
        self.open()

    def open(self) -> None:
        """Make the roles of the run that `spec` announces."""
        bank = self.paillier[BANK]
        self.bank = BankTraining(
            self.spec, self.channel(BANK), bank, self.public, self.data, self.plan_of_bank, secrets.token_bytes
        )
        self.nodes = {name: self.role(name) for name in self.sites}
        self.relay = RelayTraining(self.spec, self.channel(COORDINATOR), self.public[BANK])

    def role(self, name: PartyId) -> NodeTraining:
        keys: dict[PartyId, PublicKey] = self.public
        site, channel, key = self.sites[name], self.channel(name), self.paillier[name]
        if isinstance(site, DistrictSite):
            return DistrictTraining(self.spec, channel, key, keys, site, secrets.token_bytes)
        return NodeTraining(self.spec, channel, key, keys, site, secrets.token_bytes)

    def one_node(self) -> BinnedRows:
        """The rows of the one node that would hold both districts' enterprises, cut by the same rule."""
        survey = DistrictSurvey(known_to(self.columns, self.where < 2), self.data.training_rows, 32, MINIMUM)
        assert survey.take(survey.counts()) is None
        rows = survey.take(survey.counts())
        assert rows is not None
        return rows
