"""What a data owner allows: default deny, with the numbers that bound every release."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from protocols.consent import Purpose
from protocols.errors import BudgetExceeded, ConfigurationError, PolicyDenied
from protocols.scorecard.messages import RunSpec


class NodePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One owner's rules. A bank that is not named, or a purpose that is not listed, is denied.

    `minimum_bin` is k, the fewest enterprises that any released sum covers, `fine_bins` the most bins of a feature;
    all runs use both as they stand, lest bins of two runs be subtracted; `row_totals` bounds how many totals per
    enterprise one run may open, `row_totals_per_year` how many all runs of one bank may in a calendar year (UTC);
    `minimum_nodes` below 3 is the owner's explicit consent to a smaller node set.
    """

    banks: tuple[str, ...]
    purposes: tuple[Purpose, ...] = (Purpose.TRAINING, Purpose.ASSESSMENT)
    minimum_bin: Annotated[int, Meta(ge=1)] = 50
    fine_bins: Annotated[int, Meta(ge=2, le=256)] = 32
    minimum_nodes: Annotated[int, Meta(ge=1)] = 3
    row_totals: Annotated[int, Meta(ge=0)] = 3
    row_totals_per_year: Annotated[int, Meta(ge=0)] = 12
    minimum_key_bits: Annotated[int, Meta(ge=256)] = 2048
    queries_per_day: Annotated[int, Meta(ge=0)] = 10_000

    def digest(self) -> bytes:
        """Return the hash that every release names, 32 bytes."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).digest()

    def check_bank(self, bank: str, purpose: Purpose) -> None:
        """Return if this bank may ask for this purpose. Raises: PolicyDenied with code BANK_DENIED, PURPOSE_DENIED."""
        if bank not in self.banks:
            raise PolicyDenied(f"bank {bank} is not admitted", code="BANK_DENIED")
        if purpose not in self.purposes:
            raise PolicyDenied(f"purpose {purpose} is not admitted", code="PURPOSE_DENIED")

    def check_run(self, spec: RunSpec) -> None:
        """Return if a training run stays within these rules. Raises: PolicyDenied, BudgetExceeded."""
        self.check_bank(spec.bank, Purpose.TRAINING)
        if spec.minimum_bin < self.minimum_bin:
            raise PolicyDenied(f"bins of {spec.minimum_bin} enterprises are below k = {self.minimum_bin}")
        if (spec.minimum_bin, spec.fine_bins) != (self.minimum_bin, self.fine_bins):
            raise PolicyDenied("bins cut in another way could be subtracted from these", code="BINNING")
        if len(spec.nodes) < self.minimum_nodes:
            raise PolicyDenied(f"{len(spec.nodes)} nodes are fewer than {self.minimum_nodes}", code="TOO_FEW_NODES")
        if spec.key_bits < self.minimum_key_bits:
            raise PolicyDenied(f"keys of {spec.key_bits} bits are too short", code="KEY_TOO_SHORT")
        if spec.row_totals > self.row_totals:
            raise BudgetExceeded(
                f"{spec.row_totals} releases of row totals exceed {self.row_totals}", code="LEAK_BUDGET"
            )


def read_policy(path: Path) -> NodePolicy:
    """Return the policy of a JSON file. Raises: ConfigurationError, code BAD_POLICY, saying what is wrong in it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=NodePolicy)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read", code="BAD_POLICY") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ConfigurationError(f"{path}: {error}", code="BAD_POLICY") from error
