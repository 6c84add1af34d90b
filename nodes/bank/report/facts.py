"""What a credit report is made of: the result of one assessment, and what its model says of itself."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

import msgspec

from nodes.bank.asking.results import AssessmentResult
from nodes.bank.model.file import ModelFile


class ModelFacts(msgspec.Struct, frozen=True):
    """What a report says of the model that answered.

    Units: `trained` an ISO date; `data_as_of` one too, or "" if the bank's source does not state it; `auc` on rows that
    did not train it, null if that could not be measured.
    """

    hash: str
    family: str
    trained: str
    data_as_of: str
    auc: float | None
    nodes: int


def model_facts(model: ModelFile) -> ModelFacts:
    """Return what a verified model says of itself. Raises: MalformedMessage."""
    trained = datetime.datetime.fromtimestamp(model.training.created, datetime.UTC)
    return ModelFacts(
        hash=model.model,
        family=model.family,
        trained=trained.date().isoformat(),
        data_as_of=model.training.run.as_of,
        auc=model.quality.auc,
        nodes=len(model.signed_manifest().manifest.nodes),
    )


@dataclass(frozen=True, slots=True)
class CreditReport:
    """One report: its number, who asked, what came back, and where the enterprise can object.

    Units: `assessed` in seconds since 1970 UTC. `objections` is the bank's own notice, "" for the usual one.
    """

    number: str
    bank: str
    assessed: int
    result: AssessmentResult = field(repr=False)
    model: ModelFacts
    objections: str = ""
