"""How much an owner's sums may say of any one enterprise: its yearly budget of differential privacy."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from protocols.errors import BudgetExceeded, PolicyDenied
from protocols.privacy import NANO

Rho = Annotated[float, Meta(gt=0, le=1000)]


class PrivacyRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `privacy` section of a policy: with it, no run is admitted whose sums carry no noise.

    Units: ρ of zero-concentrated differential privacy. `rho_per_year` is what all runs of one bank may spend in a
    calendar year (UTC), `rho_per_run` what one may: all of the year's if it is not given.
    """

    rho_per_year: Rho
    rho_per_run: Rho | None = None

    def per_year(self) -> int:
        """Return the year's budget in billionths."""
        return round(self.rho_per_year * NANO)

    def check(self, rho: int) -> None:
        """Return if a run that spends `rho` billionths may be admitted.

        Raises: PolicyDenied, code NOISE_REQUIRED; BudgetExceeded, code PRIVACY_BUDGET.
        """
        most = round((self.rho_per_run or self.rho_per_year) * NANO)
        if not rho:
            raise PolicyDenied("sums without noise are not released here", code="NOISE_REQUIRED")
        if rho > most:
            raise BudgetExceeded(
                f"rho of {rho / NANO:g} in one run exceeds {most / NANO:g}: too little noise", code="PRIVACY_BUDGET"
            )
