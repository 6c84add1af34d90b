"""What the coordinator's machine gives away to whoever takes it: no enterprise, no score, not even from its memory.

The databases, exports, log lines and the memory of the running process are searched for every enterprise that was asked
about and for every probability that came out, in each form that a program would give them.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
import struct
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from federation.audit import verify_directory
from federation.audit.export.writing import export_log
from federation.cli.main import app
from federation.local.federation import LocalFederation
from federation.local.processes import running
from nodes.bank.asking.results import AssessmentResult
from nodes.bank.service import Applicant
from protocols.consent import Purpose
from tests.conftest import TrainedFederation
from tests.system.service_federation import ServiceFederation, prepare
from tests.system.test_services import assess_until

pytestmark = pytest.mark.slow
KNOWN = b"credit-federation.local/log"  # what the search must find, or it finds nothing for another reason


def forms_of(result: AssessmentResult) -> list[bytes]:
    """How a program holds an enterprise's code, and its probability of default."""
    assert result.pd is not None
    code = result.enterprise.encode()
    texts = [code, code.lower(), result.enterprise.encode("utf-16-le"), code.hex().encode()]
    numbers = [struct.pack("<d", result.pd), struct.pack(">d", result.pd), repr(result.pd).encode()]
    return [*texts, *numbers, *(base64.b64encode(bytes(shift) + code)[4:-4] for shift in range(3))]


def seen(secrets: Iterable[bytes], data: bytes) -> list[bytes]:
    return [secret for secret in secrets if secret in data]


def memory_of(pid: int) -> Iterator[bytes]:
    """Yield the readable memory of a process, region by region: what a core dump would hold."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if "r" not in rights or line.endswith(("[vvar]", "[vvar_vclock]", "[vsyscall]")):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            try:
                memory.seek(start)
                yield memory.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue


def ask(services: ServiceFederation) -> list[AssessmentResult]:
    """Questions one by one and in a batch, some denied; return those with a score."""

    async def asked() -> list[AssessmentResult]:
        async with services.bank() as bank:
            await assess_until(bank, services, "", 60)
            single = [await bank.assess(e, services.consent(e)) for e in services.ids[40:45]]
            await bank.assess(services.ids[45], "")
            applicants = [Applicant(e, services.consent(e)) for e in services.ids[46:66]]
            return [*single, *await bank.assess_batch(applicants, Purpose.ASSESSMENT)]

    results = [result for result in asyncio.run(asked()) if result.status == "ok"]
    assert len(results) == 25
    return results[:4] + results[-4:]


def test_no_enterprise_and_no_score_is_in_the_database_the_exports_the_logs_or_the_memory(
    services: ServiceFederation, tmp_path: Path
) -> None:
    secrets = sorted({form for result in ask(services) for form in forms_of(result)})
    home, found_known = services.folder / "coordinator", 0
    files = [path for path in home.rglob("*") if path.is_file()]
    assert {"log.sqlite", "service.log", "shred.keys"} <= {path.name for path in files}
    for path in files:
        assert seen(secrets, path.read_bytes()) == [], path
    report = verify_directory(services.folder)
    export_log(services.folder, tmp_path / "export", report)
    for path in (tmp_path / "export").iterdir():
        assert seen(secrets, path.read_bytes()) == [], path
        for line in path.read_bytes().splitlines() if path.name == "leaves.jsonl" else ():
            inside = b"".join(_decoded(part) for part in line.split(b'"'))
            assert seen(secrets, inside) == [], path
    try:
        for region in memory_of(services.coordinator.pid):
            found_known += KNOWN in region
            assert seen(secrets, region) == []
    except PermissionError:
        pytest.skip("this user may not read the memory of its own processes")
    assert found_known, "the memory was not searched"
    ledger = b"".join(path.read_bytes() for path in (services.folder / "tax").glob("ledger.sqlite*"))
    assert seen(secrets, ledger), "an owner's own ledger names whom it answered about: the search itself works"


def _decoded(text: bytes) -> bytes:
    """What base64 hides, if this is any."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


@pytest.fixture
def audited(trained: TrainedFederation, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path, int]]:
    """A folder with an auditor and one question in its log, its coordinator running; the auditor's own; that leaf."""
    monkeypatch.setenv("CREDFED_PASSPHRASE", "a passphrase of chen")
    with tempfile.TemporaryDirectory(prefix="cf") as short:  # a socket's path has at most 107 bytes
        folder, chen = Path(short) / "f", Path(short) / "chen"
        shutil.copytree(trained.folder, folder)
        made = ("audit", "init-auditor", str(chen), "--name", "chen", "--federation", str(folder))
        assert CliRunner().invoke(app, made).exit_code == 0
        with LocalFederation(folder) as federation:
            leaf = federation.log.size
            federation.assess(trained.ids[:1])
        coordinator = prepare(folder).coordinator
        with running([coordinator]):
            yield folder, chen, leaf


def test_an_auditor_looks_by_the_running_coordinators_door_and_leaves_a_leaf_there(
    audited: tuple[Path, Path, int], trained: TrainedFederation
) -> None:
    """The coordinator has the log open, so nobody else can write to it, and holds the keys that uncover a body."""
    folder, chen, leaf = audited
    opened = CliRunner().invoke(app, ["audit", "open", str(folder), str(leaf), "--as", str(chen), "--json"])
    assert opened.exit_code == 0, opened.output
    found = msgspec.json.decode(opened.stdout)
    assert [statement["enterprise"] for statement in found["statements"]] == [trained.ids[0]]
    searched = CliRunner().invoke(app, ["audit", "search", str(folder), "--kind", "AUDIT_VIEW", "--json"])
    (view,) = msgspec.json.decode(searched.stdout)
    assert (view["index"], view["actor"], view["attributes"]["view"]) == (found["view"], "chen", "open")
    shredded = CliRunner().invoke(app, ["audit", "shred", str(folder), "--leaf", str(leaf), "--json"])
    assert shredded.exit_code == 0, shredded.output
    again = CliRunner().invoke(app, ["audit", "open", str(folder), str(leaf), "--as", str(chen), "--json"])
    assert msgspec.json.decode(again.stdout)["shredded"] == [0]
    assert verify_directory(folder).ok
