"""The bench of many data nodes uses the real parties, and its cohort is that of one office however it is split."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from federation.bench.districts import DOMAINS, offices, write_districts
from federation.cli.bench.nodes import ended_in_time
from federation.cli.main import app
from federation.local.nodes_bench import Effort, measure_nodes
from nodes.sources import read_bank_source, read_description, read_node_source
from protocols.errors import TransportError
from tests.small_federation import KEY_BITS, quick_keys


def test_twenty_offices_hold_together_what_few_hold(tmp_path: Path) -> None:
    write_districts(tmp_path / "few", 600, 5)
    write_districts(tmp_path / "many", 600, 20)
    few, many = read_description(tmp_path / "few"), read_description(tmp_path / "many")
    assert (len(few.nodes), len(many.nodes)) == (5, 20)
    assert set(few.node_domains) == set(many.node_domains) == set(DOMAINS)
    tax = read_node_source(few, "tax").ids
    shares = [read_node_source(many, office).ids for office in offices(20)["tax"]]
    assert len(shares) == 16
    assert sorted(name for share in shares for name in share) == sorted(tax)
    assert read_bank_source(few, "bank")[0].ids == read_bank_source(many, "bank")[0].ids


def test_four_nodes_are_four_whole_domains() -> None:
    assert offices(4) == {domain: (domain,) for domain in DOMAINS[:4]}
    with pytest.raises(ValueError, match="fewer"):
        offices(3)


@pytest.mark.slow
def test_six_offices_train_and_answer(tmp_path: Path) -> None:
    with quick_keys():
        found = measure_nodes(tmp_path / "federation", 6, Effort(500, KEY_BITS, 3, 0, 1), lambda text: None)
    assert (found.nodes, found.domains) == (6, 5)
    assert found.bytes > 0 < found.assessment_bytes
    assert found.process_p50_ms is None


def test_a_signal_or_the_end_of_its_time_ends_a_measurement_by_an_exception() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)]
    for number in (signal.SIGTERM, signal.SIGHUP):
        with pytest.raises(SystemExit), ended_in_time(3600):
            signal.raise_signal(number)
    with pytest.raises(TransportError, match="not done after 3600 s"), ended_in_time(3600):
        signal.raise_signal(signal.SIGALRM)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)] == before


def test_a_number_of_nodes_that_cannot_be_is_refused() -> None:
    assert CliRunner().invoke(app, ["bench", "nodes", "--nodes", "2"]).exit_code == 2
