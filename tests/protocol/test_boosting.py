"""The boosting run over an in-memory network equals the pooled oracle, integer by integer."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from protocols.boosting.messages import TreeTables
from protocols.boosting.model import BoostingPlan
from protocols.boosting.plaintext import train_pooled
from protocols.boosting.serving import leaves_of, open_part, places
from protocols.channel.wire import encode
from protocols.credit.metrics import auc
from protocols.scorecard.messages import FeatureShape, LeakClass, PointTables
from protocols.scorecard.model import BankRows
from protocols.scorecard.rows import BinnedRows

from .boosting_network import BoostingNetwork
from .network import BANK, RecordingSite, economy

TRAINING = 700


def trained(features: dict[str, int], plan: BoostingPlan, minimum_bin: int, strength: float = 0.9) -> BoostingNetwork:
    rows, bad = economy(7, features, strength)
    network = BoostingNetwork(rows, BankRows(rows.pop("bank"), bad, TRAINING), plan, minimum_bin)
    network.run()
    return network


def with_code(rows: BinnedRows, holders: int) -> BinnedRows:
    """The first feature in five bins of its order, one of a code that every so many-th row has, and one missing."""
    codes = rows.codes.copy()
    codes[:, 0] = np.where(np.arange(len(codes)) % (TRAINING // holders) == 0, 5, np.minimum(codes[:, 0], 4))
    counts = tuple(np.bincount(codes[:TRAINING, 0], minlength=7).tolist())
    first, *others = rows.features
    return BinnedRows((FeatureShape(first.name, True, counts, special=1), *others), codes)


SIGNED = BoostingPlan(trees=12, group=2, signs={("tax", "f0"): 1, ("tax", "f1"): -1, (BANK, "f0"): -1})


@pytest.mark.parametrize(
    ("features", "plan", "minimum_bin", "strength"),
    [
        ({"bank": 2, "tax": 3, "social": 2, "electricity": 1}, BoostingPlan(trees=12, group=2), 20, 0.9),
        ({"bank": 1, "tax": 2, "social": 1}, SIGNED, 20, 0.9),
        ({"bank": 0, "tax": 2, "social": 1}, BoostingPlan(trees=6, group=3, row_totals=2, depth=2), 5, 0.9),
        ({"bank": 1, "tax": 1, "social": 0}, BoostingPlan(trees=3, group=1, row_totals=1, depth=1), 50, 0.9),
        ({"bank": 1, "tax": 2, "social": 1}, BoostingPlan(trees=4, group=2, row_totals=2, depth=4), 100, 0.0),
    ],
)
def test_federated_trees_equal_the_pooled_oracle_exactly(
    features: dict[str, int], plan: BoostingPlan, minimum_bin: int, strength: float
) -> None:
    network = trained(features, plan, minimum_bin, strength)
    result = network.bank.result
    assert result is not None
    nodes = {name: (str(name), site.rows) for name, site in network.sites.items()}
    oracle = train_pooled(BANK, network.data, nodes, plan, minimum_bin)
    assert result.model == oracle.model
    np.testing.assert_array_equal(result.totals, oracle.totals)
    if strength:
        assert sum(map(len, result.model.trees.values())) > 0
        assert auc(result.calibration.log_odds(result.totals), network.data.bad) > 0.65
    for site in network.sites.values():
        assert site.part is not None
        leaks = Counter(leak for _, leak in site.releases)
        assert leaks[LeakClass.ROW_TOTALS] == plan.row_totals
        assert set(leaks) <= {LeakClass.ROW_TOTALS, LeakClass.AGGREGATE}


@pytest.mark.parametrize("minimum_bin", [20, 24], ids=["alone in every fold", "joined until all rows are summed"])
@pytest.mark.parametrize("outcome", [0, 1])
def test_a_code_stays_outside_the_order_however_few_firms_have_it(minimum_bin: int, outcome: int) -> None:
    """With folds, a code's bin may be too small to be summed; in later turns it is not, and no number then either."""
    rows, bad = economy(7, {"bank": 1, "tax": 2, "social": 1}, 0.9)
    rows["tax"] = with_code(rows["tax"], 28)
    bad[rows["tax"].codes[:, 0] == 5] = outcome
    plan = BoostingPlan(trees=24, group=4)
    network = BoostingNetwork(rows, BankRows(rows.pop("bank"), bad, TRAINING), plan, minimum_bin)
    network.run()
    nodes = {name: (str(name), site.rows) for name, site in network.sites.items()}
    assert network.spec.folds == 4
    result = network.bank.result
    assert result is not None
    assert result.model == train_pooled(BANK, network.data, nodes, plan, minimum_bin).model
    used = {split.left for tree in result.model.trees["tax"] for level in tree.tree.levels for split in level if split}
    assert any(len(left) == 7 and left[5] != left[4] for left in used)


def test_what_is_served_adds_up_to_what_was_trained() -> None:
    network = trained({"bank": 2, "tax": 3, "social": 2}, BoostingPlan(trees=12, group=2), 20)
    result = network.bank.result
    assert result is not None
    rows = {BANK: network.data.rows} | {name: site.rows for name, site in network.sites.items()}
    served = np.zeros(len(network.data.bad), dtype=np.int64)
    for name, site in network.sites.items():
        part = open_part(encode(_part(site)))
        for row in range(len(served)):
            where = places(part, site.rows.codes[row : row + 1])[0].tolist()
            served[row] += sum(f.points[place] for f, place in zip(part.features, where, strict=True))
        assert isinstance(part, TreeTables)
        assert [tree.tree for tree in result.model.trees[name]] == list(part.trees)
    own = result.model.trees[BANK]
    for row in range(len(served)):
        where = leaves_of([tree.tree for tree in own], rows[BANK].codes[row : row + 1])[0].tolist()
        served[row] += sum(tree.points[leaf] for tree, leaf in zip(own, where, strict=True))
    assert served.max() <= result.model.maximum_total()
    trees = sum(map(len, result.model.trees.values()))
    test = slice(TRAINING, None)  # a training row's total is by trees that it has not shaped
    assert np.abs(served - result.totals)[test].max() <= trees
    assert np.corrcoef(served[:TRAINING], result.totals[:TRAINING])[0, 1] > 0.9


def _part(site: RecordingSite) -> PointTables:
    assert site.part is not None
    return site.part[1]
