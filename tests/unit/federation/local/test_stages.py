"""The stages of a question add up to its total, whatever else the processes' metrics hold."""

from __future__ import annotations

import pytest

from federation.local.stages import DEPTHS, STAGES, snapshot

SECONDS = {"total": 0.030, "ask": 0.002, "federation": 0.020, "open": 0.005}


def metrics(questions: int) -> str:
    """What a bank's process serves after so many questions that took as long as `SECONDS` each."""
    name = "credfed_question_seconds"
    lines = [f"# TYPE {name} histogram"]
    for stage, seconds in SECONDS.items():
        lines.append(f'{name}_bucket{{le="+Inf",stage="{stage}"}} {questions}')
        lines.append(f'{name}_sum{{stage="{stage}"}} {questions * seconds}')
        lines.append(f'{name}_count{{stage="{stage}"}} {questions}')
    return "\n".join(lines) + "\n"


def test_the_stages_of_a_question_add_up_to_its_total() -> None:
    found = snapshot([metrics(30)]).means_since(snapshot([metrics(10)]))
    assert found["bank_total"] == pytest.approx(30)
    parts = [found[name] for name, depth in DEPTHS.items() if depth == 1]
    assert sum(parts) == pytest.approx(found["bank_total"])
    assert found["bank_rest"] == pytest.approx(3)


def test_each_stage_has_its_place_below_the_total() -> None:
    assert set(DEPTHS) == {*STAGES, "bank_rest"} - {"bank_total"}
