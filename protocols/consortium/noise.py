"""The noise of a consortium's sums: that of a scorecard run, for an enterprise that may stand in every bank's rows."""

from __future__ import annotations

from dataclasses import replace

from protocols.consortium.messages import ConsortiumSpec
from protocols.scorecard.noise import RunNoise


def pool_noise(spec: ConsortiumSpec) -> RunNoise:
    """Return the noise that a run announces; it is added once to a pooled sum, whoever's rows are in it."""
    return replace(RunNoise.of(spec), rows=len(spec.members))
