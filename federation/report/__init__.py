"""The report of a training run: one self-contained HTML page for the bank.

data        what the page shows, as plain values
render      the page
curves      ROC, KS, distributions, calibration and grades from scores and outcomes
notation    how numbers and foreign texts are written
wording     what is said in words
sections    the lists behind the sections
svg, plot   SVG elements; the frame of a chart
charts, steps, scorescale, network   the drawings
"""

from federation.report.data import (
    BANK_ALONE,
    FEDERATION,
    POOLED,
    POOLED_BOOSTING,
    Assessment,
    Bin,
    Comparison,
    Feature,
    PartyView,
    RunReport,
)
from federation.report.render import render
from protocols.channel.identity import PartyRole
from protocols.credit.metrics import Validation

__all__ = [
    "BANK_ALONE",
    "FEDERATION",
    "POOLED",
    "POOLED_BOOSTING",
    "Assessment",
    "Bin",
    "Comparison",
    "Feature",
    "PartyRole",
    "PartyView",
    "RunReport",
    "Validation",
    "render",
]
