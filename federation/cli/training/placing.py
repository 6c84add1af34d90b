"""Which runs an option of `credfed train` is for: one that says nothing about this run is refused, never ignored."""

from __future__ import annotations

from typing import Final

import click
from click.core import ParameterSource

from nodes.bank.model.file import BOOSTING, SCORECARD
from protocols.errors import ConfigurationError

FAMILIES: Final = (SCORECARD, BOOSTING)
FAMILY_OF: Final = {
    "refinements": SCORECARD,
    "signs": SCORECARD,
    "trees": BOOSTING,
    "depth": BOOSTING,
    "learning_rate": BOOSTING,
    "row_totals": BOOSTING,
}
"""The options that one model family alone takes."""

FOUNDING: Final = ("key_bits", "cores", "do_compare")
"""The options of a federation that is founded from --data, in this process; one that is up has its own."""


def require_family(context: click.Context, model: str) -> None:
    """Return if this model family takes every option that was given.

    Raises: ConfigurationError, codes UNKNOWN_MODEL, OTHER_FAMILY.
    """
    if model not in FAMILIES:
        raise ConfigurationError(f"unknown model {model!r}; known: {', '.join(FAMILIES)}", code="UNKNOWN_MODEL")
    for name, option in _given(context).items():
        family = FAMILY_OF.get(name, model)
        if family != model:
            raise ConfigurationError(
                f"{option} is for --model {family}; this run trains a {model} model, which has nothing of the kind",
                code="OTHER_FAMILY",
            )


def require_place(context: click.Context, founds: bool, enrolled: bool) -> None:
    """Return if every option that was given says something about a run at this place. Raises: ConfigurationError."""
    given = _given(context)
    foreign = [given[name] for name in FOUNDING if name in given and not founds]
    if foreign:
        raise ConfigurationError(f"{foreign[0]} goes with --data and --out, not with --federation", code="USAGE")
    if "consent" in given and not enrolled:
        raise ConfigurationError("--consent goes with --federation and a bank's own directory", code="USAGE")


def _given(context: click.Context) -> dict[str, str]:
    """Return how each option is spelt that this call gives itself, by its name in the code."""
    return {
        parameter.name: parameter.opts[0]
        for parameter in context.command.params
        if parameter.name and context.get_parameter_source(parameter.name) is not ParameterSource.DEFAULT
    }
