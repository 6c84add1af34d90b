"""What each page of the console costs over a log of any size, in a process of its own: processor time, not elapsed.

The log holds what a federation's does, in its proportions: single questions of two banks about some enterprises again
and again, of which some are denied, answers of four nodes, batches, training runs, objections, auditors' views.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from itertools import chain, count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.audit.alarms import AlarmRules
from federation.audit.log.audit_log import AuditLog
from federation.audit.log.keys import write_log_keys
from federation.audit.reading.log_view import LogView, StoredLog
from federation.audit.verify import verify_directory
from federation.console.accounts import Accounts, Role
from federation.console.app import create_app, make_console
from federation.console.context import Console
from federation.console.health import unknown_health
from federation.console.index import INDEX_FILE, Index
from federation.console.sources import Look, Records, SealedBody, Sources
from protocols.errors import ConfigurationError
from protocols.transparency.checkpoints import CosignatureSigner, LogKeys
from protocols.transparency.leaves import Leaf, LeafKind, attributes
from protocols.transparency.notes import NoteSigner
from protocols.transparency.witness import Cosigned, Witness

GROUP: Final = 5_000
REPEATS: Final = 5
NODES: Final = ("electricity", "housing_fund", "social", "tax")
BANKS: Final = ("bank_a", "bank_b")
Tell = Callable[[str], None]
_START_MS: Final = 1_735_689_600_000  # 2025-01-01
_BODY: Final = bytes(range(200)) * 2
_POLICY: Final = sha256(b"policy").hexdigest()
_PASSWORD: Final = "a password of one run"  # noqa: S105
_HOST: Final = "127.0.0.1:8470"


class PageCost(msgspec.Struct, frozen=True):
    """One page: how it was asked for, how large it is, and what it costs. Units: bytes; milliseconds of processor."""

    page: str
    size: int
    first_ms: float
    cpu_ms: float


class ConsoleBench(msgspec.Struct, frozen=True):
    """Units: leaves; seconds of processor to read the log first, to examine it, to make a month's report; by page."""

    leaves: int
    index_s: float
    examine_s: float
    report_s: float
    pages: tuple[PageCost, ...]


def measure(leaves: int, directory: Path | None = None, tell: Tell = lambda text: None) -> ConsoleBench:
    """Build a log, serve it in this process, and ask for every page as a browser does; then delete it.

    With `directory`, the log is made there unless one is there already, and stays.
    """
    with TemporaryDirectory() as made:
        folder = Path(made) if directory is None else directory
        if not (folder / "coordinator").exists():
            tell(f"making a log of {leaves:,} leaves")
            make_log(folder, leaves)
        with closing(Accounts(Path(made) / "home")) as accounts, closing(Index(folder / INDEX_FILE)) as index:
            console = make_console(_sources(folder), accounts, index, lambda: _START_MS // 1000 + leaves * 5)
            return _measure(console, tell)


def _measure(console: Console, tell: Tell) -> ConsoleBench:
    tell("reading it for the first time")
    began = time.process_time()
    with console.reading() as log:
        size = log.size
    index_s = time.process_time() - began
    tell("examining it")
    began = time.process_time()
    console.examiner.examine()
    examine_s = time.process_time() - began
    tell("making a month's report")
    began = time.process_time()
    console.reports.make(_month(console))
    report_s = time.process_time() - began
    pages = asyncio.run(_ask(console, tell))
    return ConsoleBench(size, index_s, examine_s, report_s, tuple(pages))


def _month(console: Console) -> str:
    """Return the newest month of the log."""
    return time.strftime("%Y-%m", time.gmtime(console.index.span()[1] / 1000))


async def _ask(console: Console, tell: Tell) -> list[PageCost]:
    """Log in and ask for every page, as a browser does, in this process."""
    origin = f"https://{_HOST}"
    transport = httpx.ASGITransport(create_app(console, (_HOST,)))
    if not console.accounts.every():
        token = console.accounts.add("auditor", Role.AUDITOR, console.clock())
        console.accounts.set_up("auditor", token, _PASSWORD, console.clock())
    pages = []
    async with httpx.AsyncClient(transport=transport, base_url=origin, headers={"origin": origin}) as browser:
        await browser.post("/login", data={"name": "auditor", "password": _PASSWORD})
        for page in _pages(console):
            tell(page)
            spent = []
            for _ in range(REPEATS):
                began = time.process_time()
                answer = await browser.get(page)
                spent.append(1000 * (time.process_time() - began))
                if answer.status_code != 200:
                    raise ValueError(f"{page} answered {answer.status_code}")
            pages.append(PageCost(page, len(answer.content), spent[0], sorted(spent)[REPEATS // 2]))
    return pages


def _pages(console: Console) -> Iterator[str]:
    """Yield each page, and the timeline under every filter, from the newest page and from the middle of the log."""
    with console.reading() as log:
        middle = log.leaf(log.size // 2).commitment()
        query = next(leaf for leaf in (one.commitment() for one in log.leaves(log.size // 2)) if leaf.subject)
        day = time.strftime("%Y-%m-%d", time.gmtime(middle.timestamp_ms / 1000))
        number = log.size // 2
    filters = ("kind=DENY", "kind=REQUEST", "bank=bank_a", "bank=bank_b", "actor=tax", "purpose=assessment",
               "decision=CONSENT_EXPIRED", "decision=ACCEPTED", "model=" + sha256(b"second").hexdigest()[:8],
               f"tag={query.subject.hex()}", f"since={day}&until={day}", "bank=bank_b&kind=DENY&decision=DENY",
               f"bank=bank_b&kind=AUDIT_VIEW&since={day}", "kind=KEY&purpose=assessment", "bank=bank_a&actor=tax",
               f"before={middle.timestamp_ms}.{number}", f"kind=DENY&before={middle.timestamp_ms}.{number}",
               f"after={middle.timestamp_ms}.{number}")  # fmt: skip
    yield "/overview"
    yield "/timeline"
    yield from (f"/timeline?{one}" for one in filters)
    yield f"/entries/{number}"
    yield f"/entries/{number}/proof"
    yield f"/queries/{query.reference.hex()}"
    yield "/alarms"
    yield "/objections"
    yield "/reports"
    yield from (f"/reports/{_month(console)}-{form}" for form in ("en.html", "zh.html", "en.pdf"))
    yield "/witnesses"
    yield "/health"


class _NoBook:
    """Looks that are recorded nowhere: what recording costs, `credfed bench audit` says."""

    logged = True

    def record(self, look: Look) -> None:
        """Pass."""

    def open_body(self, look: Look) -> SealedBody:
        """Open nothing: no page of this measurement does."""
        raise ConfigurationError("nothing is opened here", code="NO_SHREDDING_KEYS")


def _sources(folder: Path) -> Sources:
    @contextmanager
    def open_log() -> Iterator[LogView]:
        with closing(StoredLog(folder)) as log:
            yield log

    @contextmanager
    def records() -> Iterator[Records]:
        yield {}

    return Sources(
        name="bench.log",
        home=folder,
        open_log=open_log,
        judge=lambda: verify_directory(folder),
        records=records,
        rules=AlarmRules,
        looks=_NoBook(),
        health=unknown_health,
        signers=lambda party: (),
        live=False,
    )


# ---- the log


def make_log(folder: Path, leaves: int) -> None:
    """Write a log of so many leaves into `folder`, cosigned by a witness every 5,000."""
    signer = NoteSigner("bench.log", Ed25519PrivateKey.generate())
    cosigner = CosignatureSigner("bench.witness", Ed25519PrivateKey.generate())
    keys = LogKeys(signer.verifier, (cosigner.verifier,))
    home = folder / "coordinator"
    home.mkdir(parents=True)
    write_log_keys(home, keys)
    witness = Witness(cosigner, signer.verifier)
    source = islice(chain.from_iterable(_event(number) for number in count()), leaves)
    with AuditLog(home / "log.sqlite", signer, keys.witnesses) as log:
        while group := list(islice(source, GROUP)):
            log.append(group)
            answer = witness.receive(log.witness_request(witness.size), group[-1].timestamp_ms // 1000)
            if isinstance(answer, Cosigned):
                log.record_cosignatures(answer.state.checkpoint.size, answer.line.encode().encode())


def _event(number: int) -> Iterator[Leaf]:
    """Yield the leaves of one event: mostly a question, one every half a minute."""
    at = _START_MS + 30_000 * number
    if number == 0:
        yield from (_leaf(LeafKind.POLICY, node, at, b"", {"policy_hash": _POLICY}) for node in NODES)
    if number % 2_000 == 7:
        yield from _objection(number, at)
    elif number % 500 == 3:
        yield from _training(number, at)
    elif number % 40 == 9:
        yield _leaf(LeafKind.AUDIT_VIEW, "chen", at, _id(number), {"view": "console.timeline", "entries": 50})
    else:
        yield from _question(number, at)


def _question(number: int, at: int) -> Iterator[Leaf]:
    of, bank, many = _id(number), BANKS[number % 3 == 2], number % 100 == 50
    deny = ("CONSENT_EXPIRED", "QUOTA")[number % 2] if number % 17 == 4 else ""
    tag = b"" if many else sha256(f"enterprise {number % 30_000}".encode()).digest()
    model = sha256((b"first", b"second")[number % 5 == 0]).hexdigest()
    values: dict[str, str | int] = {"bank": bank, "nodes": len(NODES), "model_hash": model}
    values |= {"enterprises": 250} if many else {}
    yield _leaf(LeafKind.REQUEST, bank, at, of, values, tag)
    for place, node in enumerate(NODES):
        denied = deny and node == "tax"
        done: dict[str, str | int] = {"policy_hash": _POLICY}
        done |= {"code": deny} if denied else {}
        yield _leaf(LeafKind.DENY if denied else LeafKind.RELEASE, node, at + 9 * place + 12, of, done, tag)
    if not deny:
        combined: dict[str, str | int] = {"ciphertext_hash": sha256(of).hexdigest()}
        yield _leaf(LeafKind.RESULT, "coordinator", at + 61, of, combined, tag)
    yield _leaf(LeafKind.ACK, bank, at + 88, of, {"decision": "DENIED" if deny else "ACCEPTED"}, tag)


def _training(number: int, at: int) -> Iterator[Leaf]:
    for step in range(32):
        values: dict[str, str | int] = {"bank": BANKS[0], "step": "BinHistograms", "leak_class": "aggregate"}
        values |= {"bytes": 40_000, "transcript_hash": sha256(_id(number)).hexdigest()}
        yield _leaf(LeafKind.TRAIN_STEP, NODES[step % 4], at + 200 * step, _id(number), values)


def _objection(number: int, at: int) -> Iterator[Leaf]:
    values: dict[str, str | int] = {"node": "tax", "code": "RECORD_WRONG", "entry": _id(number - 1).hex()}
    yield _leaf(LeafKind.OBJECTION, "enterprise-key", at, _id(number), values)
    done: dict[str, str | int] = {"decision": "CORRECTED", "code": "RECORD_CORRECTED"}
    yield _leaf(LeafKind.DECISION, "tax", at + 1000, _id(number), done)


def _id(number: int) -> bytes:
    return sha256(f"event {number}".encode()).digest()[:16]


def _leaf(kind: LeafKind, actor: str, at: int, of: bytes, values: dict[str, str | int], subject: bytes = b"") -> Leaf:
    return Leaf(
        kind=kind,
        timestamp_ms=at,
        actor=actor,
        reference=of,
        purpose="assessment" if kind.value in ("REQUEST", "RELEASE", "DENY", "RESULT", "ACK") else "",
        subject=subject,
        attributes=attributes(values),
        evidence=sha256(of + actor.encode()).digest(),
        body=_BODY if kind is LeafKind.REQUEST else b"",
    )


if __name__ == "__main__":
    figures = measure(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    sys.stdout.buffer.write(msgspec.json.encode(figures) + b"\n")
