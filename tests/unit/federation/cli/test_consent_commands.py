"""`credfed consent`: what it issues the federation takes, what it revokes no longer, and what it shows is there."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from federation.cli.main import app
from federation.local.federation import LocalFederation
from federation.local.layout import BANK
from nodes.keystore import read_cards
from protocols.consent import (
    ConsentDemand,
    Issuers,
    Purpose,
    parse_issuer,
    split_consent,
    unverified_claims,
    verify_consent,
)
from tests.conftest import TrainedFederation
from tests.small_federation import NODES, codes


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["consent", *map(str, arguments)])


@pytest.fixture
def service(federation_folder: Path) -> Path:
    return federation_folder / "consent_service"


def issue(service: Path, *options: object) -> dict[str, str]:
    result = run("issue", service, codes()[0], "--bank", "bank", *options, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def ask(folder: Path, consent: str) -> tuple[str, str]:
    with LocalFederation(folder, clock=lambda: int(time.time())) as federation:
        (result,) = federation.assess_with([(codes()[0], consent)])
    return result.status, result.code


def test_what_is_issued_is_taken_until_it_is_used_up(
    service: Path, federation_folder: Path, trained: TrainedFederation
) -> None:
    consent = issue(service, "--uses", 1)["consent"]
    assert ask(federation_folder, consent) == ("ok", "")
    assert ask(federation_folder, consent) == ("denied", "CONSENT_OVERUSED")


@pytest.mark.parametrize("by", ["id", "consent", "file"])
def test_what_is_revoked_is_taken_no_longer(service: Path, federation_folder: Path, tmp_path: Path, by: str) -> None:
    issued, other = issue(service), issue(service)["consent"]
    (tmp_path / "consent.txt").write_text(issued["consent"], encoding="utf-8")
    named = {"id": issued["id"], "consent": issued["consent"], "file": tmp_path / "consent.txt"}[by]
    result = run("revoke", service, named, "--json")
    assert json.loads(result.stdout) == {"revoked": [issued["id"]]}
    assert ask(federation_folder, issued["consent"]) == ("denied", "CONSENT_REVOKED")
    assert ask(federation_folder, other) == ("ok", "")


def test_what_is_no_consent_of_this_service_is_not_said_to_be_revoked(
    service: Path, federation_folder: Path, tmp_path: Path
) -> None:
    cards = federation_folder / "cards"
    run("init", tmp_path / "other", "--name", "chamber")
    foreign = json.loads(
        run("issue", tmp_path / "other", codes()[0], "--bank", "bank", "--cards", cards, "--json").stdout
    )
    before = (service / "revocations.jwt").read_bytes() if (service / "revocations.jwt").exists() else b""
    for value in ("garbage", "consent", foreign["consent"], foreign["id"][:-1]):
        result = run("revoke", service, value)
        assert result.exit_code == 2
        assert result.stderr.startswith("error NO_CONSENT: ")
    assert ((service / "revocations.jwt").read_bytes() if before else b"") == before


def test_show_prints_the_claims_and_verifies_them(service: Path, federation_folder: Path) -> None:
    consent = issue(service, "--days", 1, "--purpose", "assessment")["consent"]
    shown = json.loads(run("show", consent, "--json").stdout)
    assert (shown["claims"]["sub"], shown["claims"]["aud"]) == (codes()[0], "bank")
    assert sorted(shown["claims"]["domains"]) == sorted(NODES)
    cards = federation_folder / "cards"
    good = run("show", consent, "--cards", cards)
    assert good.exit_code == 0
    assert "verifies" in good.stdout
    token, slip = consent.split("~")
    bad = run("show", token[:-8] + "AAAAAAAA~" + slip, "--cards", cards, "--json")
    assert (bad.exit_code, json.loads(bad.stdout)["code"]) == (1, "CONSENT_INVALID")


@pytest.mark.parametrize("command", ["issue", "vouch"])
@pytest.mark.parametrize("change", [lambda code: code[:-1] + "?", lambda code: code[:-1], str.lower])
def test_a_code_whose_check_fails_is_not_signed(
    service: Path, command: str, change: Callable[[str], str], tmp_path: Path
) -> None:
    wrong = change(codes()[0]).replace("?", "0" if codes()[0][-1] != "0" else "1")
    result = run(command, service, wrong, *(["--bank", "bank"] if command == "issue" else [tmp_path]))
    assert (result.exit_code, result.stdout, result.stderr.split()[1]) == (2, "", "INVALID_USCC:")
    assert wrong not in result.stderr


def test_a_domain_that_no_node_describes_is_not_signed(service: Path) -> None:
    result = run("issue", service, codes()[0], "--bank", "bank", "--domain", "tax", "--domain", "taxes")
    assert (result.exit_code, result.stdout, result.stderr.split()[1]) == (2, "", "UNKNOWN_DOMAIN:")
    assert f"'taxes' (known: {', '.join(NODES)})" in result.stderr
    consent = issue(service, "--domain", "tax")["consent"]
    assert json.loads(run("show", consent, "--json").stdout)["claims"]["domains"] == ["tax"]


def test_where_enterprises_go_by_other_identifiers_any_of_them_consents(
    service: Path, federation_folder: Path, tmp_path: Path
) -> None:
    cards = federation_folder / "cards"
    run("init", tmp_path / "other", "--name", "chamber")
    shutil.copytree(cards, tmp_path / "cards")
    terms = ("issue", tmp_path / "other", "firm 12", "--bank", "bank", "--cards")
    assert run(*terms, tmp_path / "cards").exit_code == 2
    assert run(*terms, tmp_path / "cards", "--other-ids").exit_code == 0
    file = federation_folder / "federation.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"uscc": False}))
    assert run(*terms, cards).exit_code == 0
    assert run(*terms[:2], "a\nb", *terms[3:], cards).stderr.startswith("error INVALID_ID: ")


def test_a_split_domain_is_consented_to_under_its_own_name(service: Path, federation_folder: Path) -> None:
    file = federation_folder / "federation.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"domains": ["tax"], "regions": {"tax": ["north", "s"]}}))
    consent = issue(service)["consent"]
    assert json.loads(run("show", consent, "--json").stdout)["claims"]["domains"] == ["tax"]


def test_publish_writes_a_list_that_holds_for_a_minute_wherever_it_is_wanted(service: Path, tmp_path: Path) -> None:
    result = run("publish", service, "--to", tmp_path / "list.jwt", "--once", "--json")
    claims = json.loads(result.stdout)
    assert claims["exp"] - claims["iat"] == 60
    assert (tmp_path / "list.jwt").read_text() == (service / "revocations.jwt").read_text()
    again = json.loads(run("publish", service, "--once", "--json").stdout)
    assert again["seq"] > claims["seq"]


def test_a_wrong_directory_bank_or_consent_gets_one_line(
    service: Path, federation_folder: Path, tmp_path: Path
) -> None:
    for arguments in (
        ("issue", federation_folder / "cards", "x", "--bank", "bank"),
        ("issue", service, "x", "--bank", "tax"),
        ("issue", federation_folder / "tax", "x", "--bank", "bank"),
        ("show", "nothing"),
        ("show", tmp_path),
        ("revoke", service, "a.b.c"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1


def test_a_service_of_its_own_is_known_by_its_public_key_alone(tmp_path: Path, federation_folder: Path) -> None:
    made = json.loads(run("init", tmp_path / "service", "--name", "chamber", "--json").stdout)
    cards = federation_folder / "cards"
    arguments = ("issue", tmp_path / "service", "a-cohort", "--bank", "bank", "--purpose", "training", "--cards", cards)
    issued = json.loads(run(*arguments, "--json").stdout)
    claims = unverified_claims(split_consent(issued["consent"])[0])
    assert (claims["iss"], claims["sub"], claims["purposes"]) == ("chamber", "a-cohort", ["training"])
    issuers = Issuers([parse_issuer("chamber", Path(made["key"]).read_bytes())])
    card = read_cards(cards).cards[BANK].fingerprint()
    for domain in NODES:
        demand = ConsentDemand("a-cohort", BANK, card, Purpose.TRAINING, domain)
        assert verify_consent(split_consent(issued["consent"])[0], issuers, demand, int(time.time()))
    assert run("init", tmp_path / "service").exit_code == 2
    assert run("init", tmp_path / "other", "--name", "../up").exit_code == 2
    assert not (tmp_path / "other").exists()
