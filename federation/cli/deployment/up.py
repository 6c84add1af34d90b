"""`credfed up`, `status` and `down`: a whole federation of separate processes on this machine."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from federation.bench.districts import DOMAINS, write_districts
from federation.cli.output import BAD_INPUT, console, errors, print_json, quiet_libraries, reported_errors
from federation.cli.workspace import whole_folder
from federation.local.consents import ConsentService
from federation.local.deployed.members import members
from federation.local.deployed.namespaces import Placement, listening, remove
from federation.local.deployed.starting import bring_up, prepare
from federation.local.deployed.status import LOG_FILE, RUN, Status, read_status
from federation.local.deployed.steering import end_orphans, stop_supervisor
from federation.local.deployed.supervisor import Supervisor
from federation.local.founding import create_federation
from federation.local.layout import ADDRESS_FILE, CONSENT_SERVICE, CONSOLE, FEDERATION_FILE, party_of, read_federation
from federation.local.services import Ports
from nodes.clock import system_clock
from nodes.economy import generate, write
from nodes.keystore import read_cards
from nodes.policy import TrainingRules, usual_policy
from nodes.sources import read_description
from protocols.errors import ConfigurationError

FOLDER = typer.Argument(metavar="DIR", help="Folder of the federation.")
AS_JSON = typer.Option("--json", help="Print one JSON document.")
DEFAULT_FOLDER = Path("build/up")
FEWEST_NODES = len(DOMAINS) - 1


def up(
    folder: Annotated[Path, FOLDER] = DEFAULT_FOLDER,
    data: Annotated[
        Path | None, typer.Option("--data", help="Node files, as for `credfed train`; without it a synthetic economy.")
    ] = None,
    enterprises: Annotated[
        int, typer.Option("--enterprises", help="Size of the synthetic economy.", min=400, max=100_000)
    ] = 2000,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the synthetic economy.", min=0)] = 0,
    nodes: Annotated[
        int,
        typer.Option("--nodes", help="Data nodes, without --data: over 5, district tax offices.", min=4, max=100),
    ] = FEWEST_NODES,
    banks: Annotated[int, typer.Option("--banks", help="Banks, without --data.", min=1, max=9)] = 1,
    key_bits: Annotated[int, typer.Option("--key-bits", help="Length of every Paillier key.", min=2048)] = 2048,
    port: Annotated[
        int, typer.Option("--port", help="First of the ports of loopback that are used.", min=1024, max=60_000)
    ] = 7440,
    namespaces: Annotated[
        bool, typer.Option("--namespaces", help="Give each party a network namespace of its own (root, on Linux).")
    ] = False,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay, until Ctrl-C ends all of it.")] = False,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Start a federation of separate processes on loopback: SuperLink, SuperNodes, coordinator, data nodes, bank.

    A folder that holds none gets one first: keys, certificates and settings for every party. Then `credfed train
    --federation DIR` trains over it, `credfed status DIR` shows it, `credfed down DIR` stops it. All that the processes
    write is in DIR/run/federation.log.
    With --nodes or --banks the data are plain files of made-up numbers: twenty nodes are sixteen district tax offices
    and four other offices; several banks, each with customers of its own, train one scorecard together.
    With --namespaces no party shares a network with another but one bridge, the machine's own network is not touched,
    and `credfed status` shows where each party listens: a data node nowhere.
    """
    quiet_libraries()
    with reported_errors(as_json):
        if read_status(folder) is not None:
            raise ConfigurationError(f"{folder} is up already", code="ALREADY_UP")
        if not (folder / FEDERATION_FILE).exists():
            _found(folder, data, Cohort(enterprises, seed, nodes, banks), key_bits)
        if foreground:
            _keep(folder.resolve(), *prepare(folder, port, namespaces))
            return
        _show(bring_up(folder, port, namespaces, _tell), folder, as_json)


@dataclass(frozen=True, slots=True)
class Cohort:
    """What is made up where no data are given: the synthetic economy, or plain files for other numbers of parties."""

    enterprises: int
    seed: int
    nodes: int
    banks: int

    def write(self, folder: Path) -> None:
        """Write every party's records. Raises: ConfigurationError, code DOMAIN_SPLIT for what cannot be trained."""
        if (self.nodes, self.banks) == (FEWEST_NODES, 1):
            write(generate(self.enterprises, self.seed), folder)
            return
        if self.banks > 1 and self.nodes > len(DOMAINS):
            raise ConfigurationError(
                f"of {self.nodes} data nodes several share a domain, where several banks cannot train yet: "
                f"at most {len(DOMAINS)} with --banks",
                code="DOMAIN_SPLIT",
            )
        write_districts(folder, self.enterprises, self.nodes, self.seed, self.banks)


def _found(folder: Path, data: Path | None, cohort: Cohort, key_bits: int) -> None:
    """Make a federation in an empty folder: a cohort if there are no data, every party's keys and rules."""
    with whole_folder(folder, data) as made:
        if data is None:
            errors.print(f"making {cohort.enterprises:,} enterprises, and every party's keys")
            cohort.write(made / "data")
        description = read_description(data or made / "data")
        banks = tuple(map(party_of, description.banks))
        policy = usual_policy(banks, training=TrainingRules(minimum_nodes=min(3, len(description.nodes))))
        create_federation(made, description, key_bits, policy)


def _keep(folder: Path, ports: Ports, placement: Placement) -> None:
    """Keep all processes running, and the list of revoked consents fresh, until a signal comes; leave no namespace."""
    supervisor = Supervisor(folder, members(folder, ports, placement))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stop())
    consents = ConsentService(
        folder / CONSENT_SERVICE, read_federation(folder).domains, read_cards(folder / "cards"), system_clock
    )
    try:
        with consents.publishing():
            supervisor.keep()
    finally:
        remove(folder)


def status(
    folder: Annotated[Path, FOLDER] = DEFAULT_FOLDER,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Show which processes of a federation run, and whether they are ready. Exit code 1 if they are not."""
    with reported_errors(as_json):
        found = read_status(folder)
        if found is None:
            raise ConfigurationError(f"{folder} is not up", code="NOT_UP")
    _show(found, folder, as_json)
    if not found.ready:
        raise typer.Exit(1)


def down(
    folder: Annotated[Path, FOLDER] = DEFAULT_FOLDER,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Stop all processes of a federation, and remove its network namespaces; what it is stays in its folder.

    What a supervisor that was killed has left behind goes as well.
    """
    stopped = stop_supervisor(folder)
    stopped = end_orphans(folder) or stopped
    stopped = remove(folder) or stopped
    if as_json:
        print_json({"stopped": stopped})
    else:
        console.print("stopped" if stopped else f"{folder} was not up")
    if read_status(folder) is not None:
        raise typer.Exit(BAD_INPUT)


def _tell(found: Status) -> None:
    ready = [process.name for process in found.processes if process.state == "ready"]
    errors.print(f"[dim]{len(ready)} of {len(found.processes)} ready: {', '.join(ready)}[/]", soft_wrap=True)


def _show(found: Status, folder: Path, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    table = Table()
    for heading in ("process", "state", "pid", "restarts"):
        table.add_column(heading)
    for process in found.processes:
        table.add_row(process.name, process.state, str(process.pid or "–"), str(process.restarts))
    console.print(table)
    if any(process.place for process in found.processes):
        _show_places(found)
    console.print(f"log: {folder / RUN / LOG_FILE}")
    address = folder / CONSOLE / ADDRESS_FILE
    if any(process.name == CONSOLE for process in found.processes) and address.exists():
        console.print(f"console: {address.read_text().strip()}, for whom credfed console add-user {folder} lets in")
    if any(process.state == "waiting" and process.name != CONSOLE for process in found.processes):
        console.print(f"no bank has a model yet: credfed train --federation {folder}")


def _show_places(found: Status) -> None:
    """Print where each namespace's processes listen: what `ss -ltn` says inside it."""
    table = Table("network namespace", "listens at", "processes")
    for place in sorted({process.place for process in found.processes}):
        there = [process for process in found.processes if process.place == place]
        running = next((process.pid for process in there if process.pid), 0)
        table.add_row(place, ", ".join(listening(running)) or "–", ", ".join(process.name for process in there))
    console.print(table)
