"""A model card's figures worked out anew from plain rows, in plain Python: no NumPy, no library of statistics.

Definitions as in Siddiqi, Credit Risk Scorecards (2006): ch. 6 for WOE and IV, ch. 7 for KS and gains, ch. 9 for the
population stability index. Scores are log-odds of a good outcome: the lower, the riskier.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

GRADES = (
    ("AAA", 0.003), ("AA", 0.007), ("A", 0.015), ("BBB", 0.03), ("BB", 0.05), ("B", 0.1), ("CCC", 0.2), ("CC", 0.4),
    ("C", 1.0),
)  # fmt: skip


def pd_of(log_odds: float) -> float:
    """The probability of default."""
    return 1 / (1 + math.exp(log_odds))


def auc(log_odds: Sequence[float], bad: Sequence[int]) -> float:
    """How often a defaulted row scores below a repaid one, of all pairs; equal ones count half."""
    pairs = wins = 0.0
    goods = sorted(score for score, outcome in zip(log_odds, bad, strict=True) if not outcome)
    for risky in (score for score, outcome in zip(log_odds, bad, strict=True) if outcome):
        above = sum(score > risky for score in goods)
        wins += above + 0.5 * sum(score == risky for score in goods)
        pairs += len(goods)
    return wins / pairs


def shares_at(log_odds: Sequence[float], bad: Sequence[int], limit: float) -> tuple[float, float]:
    """Shares of the repaid, and of the defaulted rows, that score `limit` or less."""
    found = []
    for outcome in (0, 1):
        scores = [score for score, kind in zip(log_odds, bad, strict=True) if kind == outcome]
        found.append(sum(score <= limit for score in scores) / len(scores))
    return found[0], found[1]


def ks(log_odds: Sequence[float], bad: Sequence[int]) -> float:
    """The widest gap between the two distributions of scores."""
    gaps = (shares_at(log_odds, bad, limit) for limit in set(log_odds))
    return max(defaulted - good for good, defaulted in gaps)


def intercept(log_odds: Sequence[float], bad: Sequence[int]) -> float:
    """Log-odds of default to be added to all for as many expected defaults as there were."""
    low, high = -60.0, 60.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(pd_of(score - middle) for score in log_odds) < sum(bad) else (low, middle)
    return (low + high) / 2


def calibration_slope(log_odds: Sequence[float], bad: Sequence[int]) -> float:
    """The slope of the logistic regression of default on the log-odds of default expected, by Newton's steps."""
    shift, slope = 0.0, 1.0
    for _ in range(60):
        gradient, hessian = [0.0, 0.0], [0.0, 0.0, 0.0]
        for score, outcome in zip(log_odds, bad, strict=True):
            risk = -score
            p = pd_of(-(shift + slope * risk))
            gradient = [gradient[0] + outcome - p, gradient[1] + risk * (outcome - p)]
            weight = p * (1 - p)
            hessian = [hessian[0] + weight, hessian[1] + weight * risk, hessian[2] + weight * risk * risk]
        determinant = hessian[0] * hessian[2] - hessian[1] ** 2
        shift += (hessian[2] * gradient[0] - hessian[1] * gradient[1]) / determinant
        slope += (hessian[0] * gradient[1] - hessian[1] * gradient[0]) / determinant
    return slope


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which a share of an ordered sample lies, linear between neighbours."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def deciles(log_odds: Sequence[float]) -> list[float]:
    """The upper ends of the nine lower tenths."""
    ordered = sorted(log_odds)
    return [quantile(ordered, tenth / 10) for tenth in range(1, 10)]


def stability(training: Sequence[float], test: Sequence[float]) -> float:
    """Σ (a − e)·ln(a/e) over the tenths of the training scores; no case counts as half of one."""
    edges, total = deciles(training), 0.0
    for number in range(10):
        low, high = edges[number - 1] if number else -math.inf, edges[number] if number < 9 else math.inf
        expected, actual = (sum(low <= score < high for score in sample) for sample in (training, test))
        if expected or actual:
            e, a = max(expected, 0.5) / len(training), max(actual, 0.5) / len(test)
            total += (a - e) * math.log(a / e)
    return total


@dataclass(frozen=True)
class Group:
    """Rows of a decile or a grade."""

    rows: int
    bad: int
    expected: float | None


def group(log_odds: Sequence[float], bad: Sequence[int], chosen: Callable[[float], bool]) -> Group:
    """The rows whose score is chosen."""
    rows = [(pd_of(score), outcome) for score, outcome in zip(log_odds, bad, strict=True) if chosen(score)]
    return Group(len(rows), sum(o for _, o in rows), sum(p for p, _ in rows) / len(rows) if rows else None)


def gains(log_odds: Sequence[float], bad: Sequence[int]) -> list[Group]:
    """Tenths of the rows, riskiest first; equal scores stay together."""
    edges = [-math.inf, *deciles(log_odds), math.inf]
    bounds = itertools.pairwise(edges)
    found = [group(log_odds, bad, lambda score, low=low, high=high: low < score <= high) for low, high in bounds]
    return [one for one in found if one.rows]


def grades(log_odds: Sequence[float], bad: Sequence[int]) -> dict[str, Group]:
    """Each grade's rows, by PD."""
    found, above = {}, -1.0
    for name, limit in GRADES:
        found[name] = group(log_odds, bad, lambda score, low=above, high=limit: low < pd_of(score) <= high)
        above = limit
    return found


def weight_of_evidence(good: int, bad: int, goods: int, bads: int) -> float:
    """ln of the share of all good over the share of all bad, half a case added to each count."""
    return math.log(((good + 0.5) / (goods + 0.5)) / ((bad + 0.5) / (bads + 0.5)))


def information_value(counts: Sequence[tuple[int, int]]) -> float:
    """Σ (share of the good − share of the bad)·WOE over bins of (good, bad)."""
    goods, bads = sum(good for good, _ in counts), sum(bad for _, bad in counts)
    return sum(
        (good / goods - bad / bads) * weight_of_evidence(good, bad, goods, bads) for good, bad in counts if good + bad
    )
