"""Whatever an auditor's console, a report or an export shows of real questions, no enterprise and no score is in it."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from federation.cli.main import app as credfed
from federation.console import accounts as rules
from federation.console.accounts import Accounts, Role
from federation.console.app import create_app, make_console
from federation.console.index import Index
from federation.local.federation import LocalFederation
from tests.conftest import TrainedFederation
from tests.console_site import BASE, HOSTS, Book, sources
from tests.small_federation import NOW

PASSWORD = "correct horse battery"  # noqa: S105  of an account that lives as long as a test
SECURE = BASE.replace("http:", "https:")
MOST_PAGES = 150


@pytest.fixture
def asked(
    federation_folder: Path, trained: TrainedFederation, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, list[bytes], str]:
    """A log of real questions; what must not be found, in each form that a program would give it; a reference."""
    monkeypatch.setattr(rules, "_COST", 1 << 8)
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        federation.withhold_consent(trained.ids[3])
        results = [*federation.assess(trained.ids[:4]), *federation.assess(trained.ids[10:30])]
    found: list[bytes] = []
    for result in results:
        code = result.enterprise.encode()
        found += [code, code.lower(), result.enterprise.encode("utf-16-be"), code.hex().encode()]
        found += [base64.b64encode(bytes(shift) + code)[4:-4] for shift in range(3)]
        if result.pd is not None:
            found += [struct.pack("<d", result.pd), struct.pack(">d", result.pd), f"{result.pd:.12g}".encode()]
    return federation_folder, found, results[0].request


def seen(secrets: list[bytes], data: bytes) -> list[bytes]:
    return [secret for secret in secrets if len(secret) >= 8 and secret in data]


def pages(browser: TestClient, *starts: str) -> Iterator[tuple[str, bytes]]:
    """Every page that links lead to."""
    waiting, known = list(starts), set(starts)
    while waiting and len(known) < MOST_PAGES:
        path = waiting.pop(0)
        answer = browser.get(path)
        yield path, answer.content
        for link in re.findall(r'href="(/[^"#]*)"', answer.text):
            plain = link.replace("&amp;", "&")
            if plain not in known and not plain.startswith(("/static", "/logout")):
                known.add(plain)
                waiting.append(plain)


def test_no_page_of_the_console_names_an_enterprise_or_a_score(
    asked: tuple[Path, list[bytes], str], tmp_path: Path
) -> None:
    folder, secrets, reference = asked
    accounts, index = Accounts(tmp_path), Index(tmp_path / "index.sqlite")
    console = make_console(sources(folder, Book()), accounts, index, lambda: NOW)
    console.examiner.examine()
    token = accounts.add("lin.wei", Role.AUDITOR, NOW)
    assert accounts.set_up("lin.wei", token, PASSWORD, NOW)
    browser = TestClient(create_app(console, HOSTS), SECURE, headers={"origin": SECURE})
    assert browser.post("/login", data={"name": "lin.wei", "password": PASSWORD}).status_code == 200
    shown = dict(pages(browser, f"/queries/{reference}", "/timeline", "/"))
    assert len(shown) > 30
    assert {path: seen(secrets, content) for path, content in shown.items() if seen(secrets, content)} == {}
    story = shown[f"/queries/{reference}"]
    assert b"CONSENT" in story
    assert reference.encode() in story  # the search has what it searched
    accounts.close()
    index.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert seen(secrets, stored) == []


@pytest.mark.slow
def test_no_report_and_no_export_names_an_enterprise_or_a_score(
    asked: tuple[Path, list[bytes], str], tmp_path: Path
) -> None:
    folder, secrets, _ = asked
    out = tmp_path / "out"
    out.mkdir()
    for command in (
        ["audit", "report", str(folder), "--month", "2023-11", "--out", str(out / "month.html")],
        ["audit", "export", str(folder), "--out", str(out / "export")],
    ):
        made = CliRunner().invoke(credfed, command)
        assert made.exit_code == 0, made.output
    files = [path for path in out.rglob("*") if path.is_file()]
    assert {".html", ".pdf", ".jsonl", ".csv"} <= {path.suffix for path in files}
    for path in files:
        data = path.read_bytes()
        inside = b"".join(_inflated(part) for part in re.findall(rb"stream\r?\n(.*?)endstream", data, re.DOTALL))
        assert seen(secrets, data + inside) == [], path
    ledger = b"".join(path.read_bytes() for path in (folder / "tax").glob("ledger.sqlite*"))
    assert seen(secrets, ledger), "an owner's own ledger names whom it answered about: the search itself works"


def _inflated(stream: bytes) -> bytes:
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return b""
