"""What a console reads, from a coordinator's own directory, a federation's folder, an export or a stopped log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from federation.audit.export.reading import is_export
from federation.audit.log.keys import SIGNER_FILE, read_log_keys
from federation.audit.storage.location import LOG_FILE, coordinator_home, log_location
from federation.cli.audit.alarms import read_rules
from federation.cli.audit.ledgers import open_ledgers, own_entries
from federation.cli.audit.logs import judge, open_log
from federation.cli.audit.pinned import pinned_cards
from federation.cli.audit.viewing import open_desk
from federation.console.health import Health, coordinator_health, unknown_health
from federation.console.look_book import Cards, LocalLookBook, LoggedLookBook
from federation.console.sources import LookBook, Records, Sources
from federation.relay.settings import COORDINATOR_FILE
from nodes.clock import system_clock
from protocols.channel.identity import PartyCard, PartyId
from protocols.errors import ConfigurationError


def check_log(directory: Path) -> None:
    """Return if there is a log to show. Raises: ConfigurationError, code LOG_UNREADABLE."""
    home = coordinator_home(directory)
    if not log_location(home).exists and (home / COORDINATOR_FILE).is_file():
        text = f"{home}: the log is not begun yet; it is when the coordinator first runs"
        raise ConfigurationError(text, code="LOG_UNREADABLE")
    if not (log_location(home).exists or is_export(directory)):
        text = f"there is no audit log at {directory / LOG_FILE} or {directory / LOG_FILE.name}, and no export"
        raise ConfigurationError(text, code="LOG_UNREADABLE")


def state_folder(directory: Path, name: str) -> Path:
    """Return the console's own folder: below the log's directory, or beside an export, which holds nothing else."""
    if Path(name).is_absolute():
        return Path(name)
    if log_location(coordinator_home(directory)).exists:
        return directory / name
    return directory.resolve().with_name(f"{directory.resolve().name}.{name}")


def sources_of(directory: Path, home: Path) -> Sources:
    """Return everything that a console over `directory` reads; `home` is its own folder. Raises: ConfigurationError."""
    with open_log(directory) as log:
        origin = log.keys.log.name
    coordinator = coordinator_home(directory)
    live = (coordinator / COORDINATOR_FILE).is_file()

    @contextmanager
    def records() -> Iterator[Records]:
        with open_ledgers(directory) as readers:
            yield {party: own_entries(reader) for party, reader in readers.items()}

    def health() -> Health:
        return coordinator_health(coordinator, pinned_cards(directory), system_clock()) if live else unknown_health()

    def signers(party: str) -> Sequence[PartyCard]:
        return pinned_cards(directory).lineage(PartyId(party))

    return Sources(
        name=origin,
        home=home,
        open_log=lambda: open_log(directory),
        judge=lambda: judge(directory),
        records=records,
        rules=lambda: read_rules(directory, None),
        looks=_look_book(directory, home),
        health=health,
        signers=signers,
        live=live,
        place=str(directory),
    )


def _look_book(directory: Path, home: Path) -> LookBook:
    """Return where looks are recorded: in the log, where this is the coordinator's own."""
    coordinator = coordinator_home(directory)
    if not (coordinator / SIGNER_FILE).is_file():
        return LocalLookBook(home, system_clock)

    def cards() -> Cards:
        return pinned_cards(directory).cards

    return LoggedLookBook(lambda: open_desk(directory), cards, lambda: read_log_keys(coordinator).log)
