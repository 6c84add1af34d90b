"""Where the time of an assessment goes, read from the metrics of every process before and after a load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

Sums = dict[str, tuple[float, float]]

STAGES: Mapping[str, str] = {
    "bank_total": "credfed_question_seconds{stage=total}",
    "bank_ask": "credfed_question_seconds{stage=ask}",
    "bank_federation": "credfed_question_seconds{stage=federation}",
    "coordinator_commit": "credfed_commit_seconds",
    "coordinator_parcels_per_commit": "credfed_commit_parcels",
    "node_round_trip": "credfed_node_seconds",
    "node_commit": "credfed_node_commit_seconds",
    "node_parcels_per_commit": "credfed_node_commit_parcels",
    "bank_open": "credfed_question_seconds{stage=open}",
}
"""Stages by name: the metric whose mean each is, summed over all processes and, but for `stage`, all labels.

What the bank does is once a question, and adds up to its total with `bank_rest`: waiting for a place, or for a thread.
"""

DEPTHS: Mapping[str, int] = {
    "bank_ask": 1,
    "bank_federation": 1,
    "coordinator_commit": 2,
    "coordinator_parcels_per_commit": 3,
    "node_round_trip": 2,
    "node_commit": 3,
    "node_parcels_per_commit": 4,
    "bank_open": 1,
    "bank_rest": 1,
}
"""Which stage is part of which: of the nearest one above it that is less deep. A question waits for several commits."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Sum and count of every histogram at one moment, over all processes, and each one's processor time so far."""

    sums: Sums
    cpu_seconds: tuple[float, ...]

    def cpu_since(self, earlier: Snapshot, answers: int) -> list[float]:
        """Return the processor time of each process since then. Units: milliseconds per answer."""
        pairs = zip(self.cpu_seconds, earlier.cpu_seconds, strict=True)
        return [1000 * (now - then) / max(answers, 1) for now, then in pairs]

    def means_since(self, earlier: Snapshot) -> dict[str, float]:
        """Return each stage's mean since then. Units: milliseconds; parcels for those named so."""
        found = {}
        for stage, metric in STAGES.items():
            total, count = self.sums.get(metric, (0.0, 0.0))
            total_then, count_then = earlier.sums.get(metric, (0.0, 0.0))
            if count > count_then:
                mean = (total - total_then) / (count - count_then)
                found[stage] = mean if metric.endswith("parcels") else 1000 * mean
        if "bank_total" in found:
            parts = (found.get(part, 0.0) for part in ("bank_ask", "bank_federation", "bank_open"))
            found["bank_rest"] = found["bank_total"] - sum(parts)
        return found


def own_metrics() -> str:
    """Return this process's metrics, as others serve theirs."""
    return generate_latest().decode()


def snapshot(texts: list[str]) -> Snapshot:
    """Return what several processes' metrics add up to."""
    sums: Sums = {}
    cpu = [0.0] * len(texts)
    for number, text in enumerate(texts):
        for family in text_string_to_metric_families(text):
            if family.name == "process_cpu_seconds":
                cpu[number] = family.samples[0].value
            if family.type != "histogram":
                continue
            for sample in family.samples:
                stage = sample.labels.get("stage")
                name = f"{family.name}{{stage={stage}}}" if stage else family.name
                total, count = sums.get(name, (0.0, 0.0))
                if sample.name.endswith("_sum"):
                    sums[name] = (total + sample.value, count)
                elif sample.name.endswith("_count"):
                    sums[name] = (total, count + sample.value)
    return Snapshot(sums, tuple(cpu))
