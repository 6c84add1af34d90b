"""The rules of a policy: who may ask for what, and the numbers that bound every release."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from nodes.policy.privacy import PrivacyRules
from protocols.channel.identity import PartyName
from protocols.consent import QUESTIONS, Consent, Purpose
from protocols.errors import BudgetExceeded, PolicyDenied
from protocols.scorecard.messages import RunSpec

VERSION: Final = 1
Count = Annotated[int, Meta(ge=0, lt=1 << 31)]
Printable = Annotated[str, Meta(min_length=1, max_length=256, pattern="^[^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]*$")]
ModelHash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Effect(StrEnum):
    """What a rule does with the requests that it matches."""

    ALLOW = "allow"
    DENY = "deny"


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A section of a policy: a key that it does not know is a slip, and refused."""


class ConsentRules(_Section, frozen=True):
    """What a consent must say beyond what every consent must: how widely it may have been given.

    A consent for more uses, or for a longer time, than these is refused.
    """

    uses_at_most: Annotated[int, Meta(ge=1, lt=1 << 31)] = 10_000
    days_at_most: Annotated[int, Meta(ge=1, le=3660)] = 366

    def check(self, consent: Consent) -> None:
        """Return if a consent was given no more widely than this. Raises: PolicyDenied, code CONSENT_TOO_BROAD."""
        if consent.uses > self.uses_at_most:
            raise PolicyDenied(f"a consent for more than {self.uses_at_most} uses", code="CONSENT_TOO_BROAD")
        if consent.expires - consent.not_before > self.days_at_most * 86_400:
            raise PolicyDenied(f"a consent for more than {self.days_at_most} days", code="CONSENT_TOO_BROAD")


class Quota(_Section, frozen=True):
    """How often: answers to one bank a day (UTC), and about one enterprise a day; `score_bits` is how fine a score is.

    A total of more bits could spell out what bins it was added up from, so that no owner may allow more than 24.
    """

    per_day: Count = 10_000
    per_subject: Count = 100
    score_bits: Annotated[int, Meta(ge=8, le=24)] = 20


class TrainingRules(_Section, frozen=True):
    """What a training run must keep to.

    `minimum_bin` is k, the fewest enterprises that any released sum covers, `fine_bins` the most bins of a feature;
    all runs use both as they stand, lest bins of two runs be subtracted; `row_totals` bounds how many totals per
    enterprise one run may open, `row_totals_per_year` how many all runs of one bank may in a calendar year (UTC);
    `privacy` asks for noise on every sum, within a yearly budget; `minimum_nodes` below 3 is the owner's explicit
    consent to a smaller node set.
    """

    minimum_bin: Annotated[int, Meta(ge=1, lt=1 << 31)] = 50
    fine_bins: Annotated[int, Meta(ge=2, le=256)] = 32
    minimum_nodes: Annotated[int, Meta(ge=1, lt=1 << 16)] = 3
    row_totals: Count = 3
    row_totals_per_year: Count = 12
    minimum_key_bits: Annotated[int, Meta(ge=256, le=16384)] = 2048
    privacy: PrivacyRules | None = None

    def check(self, spec: RunSpec) -> None:
        """Return if a training run stays within these rules. Raises: PolicyDenied, BudgetExceeded."""
        if spec.minimum_bin < self.minimum_bin:
            raise PolicyDenied(f"bins of {spec.minimum_bin} enterprises are below k = {self.minimum_bin}")
        if (spec.minimum_bin, spec.fine_bins) != (self.minimum_bin, self.fine_bins):
            raise PolicyDenied("bins cut in another way could be subtracted from these", code="BINNING")
        if len(spec.nodes) < self.minimum_nodes:
            raise PolicyDenied(f"{len(spec.nodes)} nodes are fewer than {self.minimum_nodes}", code="TOO_FEW_NODES")
        if spec.key_bits < self.minimum_key_bits:
            raise PolicyDenied(f"keys of {spec.key_bits} bits are too short", code="KEY_TOO_SHORT")
        if self.privacy is not None:
            self.privacy.check(spec.rho)
        if spec.row_totals > self.row_totals:
            raise BudgetExceeded(
                f"{spec.row_totals} releases of row totals exceed {self.row_totals}", code="LEAK_BUDGET"
            )


class Rule(_Section, frozen=True):
    """One rule: which requests it matches, and on which terms it allows them.

    A rule that lists models speaks of assessments alone. `features` are those of this node that a model may use:
    training is offered no other, and a model that uses another is not served.
    """

    name: Printable
    effect: Effect
    banks: tuple[PartyName, ...] | Literal["any"]
    purposes: tuple[Purpose, ...] | Literal["any"]
    models: tuple[ModelHash, ...] | Literal["any-signed"] = "any-signed"
    features: tuple[Printable, ...] | Literal["all"] = "all"
    consent: ConsentRules = ConsentRules()
    quota: Quota = Quota()
    training: TrainingRules = TrainingRules()

    def admits_features(self, names: Iterable[str]) -> bool:
        """Return whether all of these features may be used under this rule."""
        return self.features == "all" or set(names) <= set(self.features)


class NodePolicy(_Section, frozen=True):
    """One owner's rules, in order: the first that matches a request decides it; what none matches is denied."""

    version: Literal[1]
    rules: tuple[Rule, ...]

    def digest(self) -> bytes:
        """Return the hash that every release names, 32 bytes: of what the rules say, not of how the file spells it."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).digest()


USUAL_TRAINING: Final = TrainingRules()
USUAL_QUOTA: Final = Quota()


def usual_policy(
    banks: tuple[str, ...], *, training: TrainingRules = USUAL_TRAINING, quota: Quota = USUAL_QUOTA
) -> NodePolicy:
    """Return the policy of an owner that lets these banks train and assess, within the usual numbers or given ones."""
    return NodePolicy(
        VERSION,
        (
            Rule("admitted banks may train", Effect.ALLOW, banks, (Purpose.TRAINING,), training=training),
            Rule("admitted banks may assess", Effect.ALLOW, banks, QUESTIONS, quota=quota),
        ),
    )
