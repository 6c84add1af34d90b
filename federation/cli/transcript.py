"""`credfed transcript`: record what crosses the wire in a run, and check that an attacker could not read it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
import numpy as np
import typer
from rich.markup import escape

from federation.cli.output import FAILED, console, print_json, quiet_libraries, reported_errors
from federation.cli.progress import round_progress
from federation.cli.training.job import boosting_plan
from federation.cli.training.placing import require_family
from federation.cli.training.train import KEY_BITS, SEED
from federation.local.consortium import train_consortium
from federation.local.federation import LocalFederation
from federation.local.founding import create_federation
from federation.local.layout import party_of
from federation.transcript import SUFFIX, open_transcript, recording
from nodes.bank.model.file import SCORECARD
from nodes.bank.training.split import Split, split_rows
from nodes.policy import TrainingRules, usual_policy
from nodes.sources import DatasetDescription, read_bank_source, read_description, read_node_source
from protocols.boosting.model import BoostingPlan
from protocols.errors import ConfigurationError
from protocols.scorecard.model import TrainingPlan
from protocols.wire_audit import Account, Canaries, Finding, Report, Terms, audit, distinctive

app = typer.Typer(help="Record the wire, and judge it as an attacker would.", no_args_is_help=True)

TEST_SIZE: Final = 0.3
DEPTH: Final = 3
TURNS: Final = 3
SAMPLED_IDS: Final = 2_000
SAMPLED_ROWS: Final = 200


@app.callback()
def transcript() -> None:
    """Record the wire, and judge it as an attacker would."""


# ---- record


@dataclass(frozen=True, slots=True)
class Recording:
    """One run to record: training on a folder of node files, then assessments, the last without consent."""

    description: DatasetDescription
    seed: int
    key_bits: int
    plan: TrainingPlan | BoostingPlan
    minimum_bin: int
    assessments: int

    def run(self, out: Path, quiet: bool) -> None:
        """Write the transcript to `out`; the federation itself is made in a temporary folder and forgotten.

        Raises: CreditFederationError of the run; nothing is then written.
        """
        nodes = len(self.description.nodes)
        rules = TrainingRules(
            minimum_bin=self.minimum_bin,
            minimum_nodes=min(3, nodes),
            minimum_key_bits=min(self.key_bits, 2048),
        )
        policy = usual_policy(tuple(map(party_of, self.description.banks)), training=rules)
        with tempfile.TemporaryDirectory() as folder, recording(out) as recorder, round_progress(quiet) as on_round:
            create_federation(Path(folder), self.description, self.key_bits, policy)
            with LocalFederation(Path(folder), observer=recorder.observe, on_round=on_round) as federation:
                recorder.begin(federation.pins.cards.values(), federation.names)
                split = self._train(federation)
                asked = federation.bank.cohort_ids(split)[-self.assessments :] if self.assessments else ()
                for enterprise in asked[-1:]:
                    federation.withhold_consent(enterprise)
                if asked:
                    federation.assess(asked)

    def _train(self, federation: LocalFederation) -> Split:
        """Train with the one bank, or with all; return the split of the one, or of the lead."""
        splits = {bank: split_rows(known, TEST_SIZE, self.seed) for bank, known in federation.bank_outcomes.items()}
        if len(splits) == 1:
            federation.train(splits[federation.lead], self.plan, self.minimum_bin)
        elif isinstance(self.plan, TrainingPlan):
            train_consortium(federation, splits, self.plan, self.minimum_bin, "")
        else:
            raise ConfigurationError("several banks train a scorecard together, no boosted trees", code="UNKNOWN_MODEL")
        return splits[federation.lead]


@app.command()
def record(
    context: typer.Context,
    data: Annotated[Path, typer.Option("--data", help="Folder with domains.json and one node_<domain> file a party.")],
    out: Annotated[Path, typer.Option("--out", help=f"The transcript to write, by custom *{SUFFIX}.")],
    model: Annotated[str, typer.Option("--model", help="Model family: scorecard or boosting.")] = SCORECARD,
    seed: Annotated[int, SEED] = 0,
    key_bits: Annotated[int, KEY_BITS] = 2048,
    refinements: Annotated[int, typer.Option("--refinements", help="Scorecard: Newton refinements.", min=0, max=2)] = 1,
    trees: Annotated[int, typer.Option("--trees", help="Boosting: trees a party grows at most.", min=TURNS)] = 12,
    min_bin: Annotated[int, typer.Option("--min-bin", help="k, the fewest enterprises of a sum.", min=2)] = 50,
    assessments: Annotated[
        int, typer.Option("--assess", help="Assessments after training; the last is refused its consent.", min=0)
    ] = 3,
) -> None:
    """Train and assess on DATA with every Flower message written to OUT.

    A transcript holds what each party received and the public cards: no key and no row, but all that an attacker at
    any party's place would hold. The federation that it is recorded from is thrown away.
    """
    quiet_libraries()
    with reported_errors(False):
        require_family(context, model)
        scorecard = model == SCORECARD
        plan = TrainingPlan(refinements=refinements) if scorecard else boosting_plan(trees, DEPTH, None, TURNS, seed)
        Recording(read_description(data), seed, key_bits, plan, min_bin, assessments).run(out, quiet=False)
    console.print(f"written to {out}: {out.stat().st_size / 1e6:,.1f} MB", soft_wrap=True)


# ---- check


@app.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="FILE|DIR", help=f"A transcript, or a folder of *{SUFFIX} files.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of node files whose values must not be seen: a sample of them."),
    ] = None,
    allow_short_keys: Annotated[
        bool, typer.Option("--allow-short-keys", help="Accept keys under 2048 bits. For tests alone.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Judge every message as an attacker at each party's place would, and list what can be seen.

    Exit code 0 if nothing is found; 1 with the findings, or if the file is no whole transcript; 2 if there is none.
    """
    quiet_libraries()
    with reported_errors(as_json):
        canaries = Canaries.of() if data is None else sampled_canaries(read_description(data))
        terms = Terms(0, canaries) if allow_short_keys else Terms(canaries=canaries)
        reports = {str(file): _check_file(file, terms) for file in transcripts_in(path)}
    if as_json:
        transcripts = [_as_json(name, report) for name, report in reports.items()]
        print_json({"ok": all(report.ok for report in reports.values()), "transcripts": transcripts})
    else:
        for name, report in reports.items():
            _show(name, report)
    if not all(report.ok for report in reports.values()):
        raise typer.Exit(FAILED)


def transcripts_in(path: Path) -> list[Path]:
    """Return the transcript itself, or all below a folder. Raises: ConfigurationError, code NO_TRANSCRIPT."""
    if not path.is_dir():
        return [path]
    found = sorted(path.rglob(f"*{SUFFIX}"))
    if not found:
        raise ConfigurationError(f"{path}: no *{SUFFIX} file there", code="NO_TRANSCRIPT")
    return found


def sampled_canaries(description: DatasetDescription) -> Canaries:
    """Return a sample of ids and values of every party's own file as plaintexts that must not be seen.

    Leaves out what chance would meet: ids under six characters, numbers under five significant digits.
    """
    banks = [read_bank_source(description, bank)[0] for bank in description.banks]
    tables = [*banks, *(read_node_source(description, node) for node in description.nodes)]
    ids = (name for table in tables for name in table.ids[:SAMPLED_IDS] if distinctive(name))
    values = (
        float(value)
        for table in tables
        for column in table.columns.values()
        if np.issubdtype(column.dtype, np.floating)
        for value in column[:SAMPLED_ROWS]
    )
    return Canaries.of(ids, (value for value in values if distinctive(value)))


def _check_file(file: Path, terms: Terms) -> Report:
    with open_transcript(file) as transcript:
        return audit(transcript.cards, transcript.observations(), terms)


def _show(name: str, report: Report) -> None:
    state = "[green]ok[/]" if report.ok else f"[bold red]{len(report.findings)} findings[/]"
    console.print(
        f"{state} {escape(name)}: {report.observations} transport messages, {report.envelopes} envelopes, "
        f"{report.ciphertexts:,} ciphertexts, {report.size / 1e6:,.1f} MB",
        soft_wrap=True,
    )
    for account in report.accounts:
        if account.opening in ("RunSpec", "BoostingSpec", "ConsortiumSpec"):
            revealed = ", ".join(f"{count} x {leak}" for leak, count in account.revealed.items())
            console.print(f"  run {account.transcript[:16]}: {revealed}; planned totals {account.planned_row_totals}")
    for finding in report.findings:
        console.print(f"  [red]{escape(str(finding))}[/]", soft_wrap=True)


class _FindingEntry(msgspec.Struct, frozen=True):
    code: str
    received_by: tuple[str, ...]
    sender: str
    message: str
    record: int
    index: int
    count: int
    detail: str
    reason: str


class _TranscriptEntry(msgspec.Struct, frozen=True):
    file: str
    ok: bool
    observations: int
    envelopes: int
    ciphertexts: int
    bytes: int
    accounts: tuple[Account, ...]
    findings: tuple[_FindingEntry, ...]


def _as_json(name: str, report: Report) -> _TranscriptEntry:
    return _TranscriptEntry(
        name,
        report.ok,
        report.observations,
        report.envelopes,
        report.ciphertexts,
        report.size,
        report.accounts,
        tuple(map(_entry, report.findings)),
    )


def _entry(finding: Finding) -> _FindingEntry:
    return _FindingEntry(
        finding.code,
        finding.received_by,
        finding.sender,
        finding.message,
        finding.record,
        finding.index,
        finding.count,
        finding.detail,
        finding.reason,
    )
