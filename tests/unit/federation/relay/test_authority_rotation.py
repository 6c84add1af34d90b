"""The authority is replaced in steps: nobody is cut off on the way, and nobody of the old one is let in at the end."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner

from federation.cli.main import app
from federation.enrolment.registry import CertificateRecord, Registry
from federation.local.coordinator_home import found_coordinator
from federation.relay.authority import Issued, certify, create_authority, own_certificate
from federation.relay.authority_rotation import AuthorityRotation, Step
from protocols.channel.identity import PartyId
from protocols.enrolment.certificates import (
    check_authority,
    check_certificate,
    draw_tls_key,
    requested_key,
    signing_request,
)
from protocols.errors import ConfigurationError, MalformedMessage, VerificationFailed

TAX = PartyId("tax")
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    found_coordinator(tmp_path / "coordinator", "127.0.0.1:7443", "", "", 512, "test/log")
    return tmp_path / "coordinator"


def rotation_in(home: Path) -> AuthorityRotation:
    return AuthorityRotation(home, home / "tls" / "authority.pem")


def trusted(home: Path) -> bytes:
    return (home / "tls" / "authority.pem").read_bytes()


def issued(home: Path, key: bytes) -> bytes:
    """Return a certificate of the coordinator's authority as it is now."""
    authority = Issued(trusted(home), (home / "tls" / "authority.key").read_bytes())
    return certify(authority, requested_key(signing_request(TAX, key), TAX), TAX, START)


def renew(home: Path, at: datetime.datetime) -> None:
    """Put on record that a party was granted a certificate."""
    record = CertificateRecord(draw_tls_key()[:32], int(at.timestamp()), int(at.timestamp()) + 1, b"")
    Registry(home).certified(TAX, record)


def after(hours: int) -> datetime.datetime:
    return START + datetime.timedelta(hours=hours)


def test_every_step_leaves_the_certificates_of_the_one_before_good(home: Path) -> None:
    rotation, key = rotation_in(home), draw_tls_key()
    old, old_trust = issued(home, key), trusted(home)
    rotation.draw_next(after(0))
    both = trusted(home)
    check_authority(old_trust, both)
    check_certificate(issued(home, key), old_trust, key, TAX)  # a party that knows of one authority goes on
    renew(home, after(1))
    rotation.switch(after(2), [TAX])
    new = issued(home, key)
    for certificate in (old, new):
        check_certificate(certificate, trusted(home), key, TAX)
    with pytest.raises(VerificationFailed):
        check_certificate(new, old_trust, key, TAX)
    renew(home, after(3))
    rotation.drop([TAX])
    check_authority(both, trusted(home))
    check_certificate(new, trusted(home), key, TAX)
    with pytest.raises(VerificationFailed):
        check_certificate(old, trusted(home), key, TAX)
    assert rotation.state().step is Step.NONE
    assert len(x509.load_pem_x509_certificates(trusted(home))) == 1


def test_no_step_is_taken_while_a_party_would_be_cut_off(home: Path) -> None:
    rotation = rotation_in(home)
    renew(home, after(0))
    rotation.draw_next(after(1))
    before = trusted(home), (home / "tls" / "authority.key").read_bytes()
    with pytest.raises(ConfigurationError, match="tax") as refused:
        rotation.switch(after(2), [TAX])
    assert refused.value.code == "PARTIES_BEHIND"
    assert before == (trusted(home), (home / "tls" / "authority.key").read_bytes())
    renew(home, after(2))
    rotation.switch(after(3), [TAX])
    with pytest.raises(ConfigurationError, match="tax"):
        rotation.drop([TAX])
    assert len(x509.load_pem_x509_certificates(trusted(home))) == 2


@pytest.mark.parametrize("step", ["switch", "drop"])
def test_steps_come_in_their_order(home: Path, step: str) -> None:
    rotation = rotation_in(home)
    with pytest.raises(ConfigurationError) as refused:
        rotation.switch(after(0), []) if step == "switch" else rotation.drop([])
    assert refused.value.code == "WRONG_STEP"
    rotation.draw_next(after(0))
    with pytest.raises(ConfigurationError, match="next"):
        rotation.draw_next(after(1))


def test_a_coordinator_that_brings_wholly_another_authority_is_not_believed() -> None:
    mine, other = create_authority(START).certificate, create_authority(START).certificate
    with pytest.raises(VerificationFailed) as refused:
        check_authority(mine, other)
    assert refused.value.code == "WRONG_CERTIFICATE"
    check_authority(mine, other + mine)
    with pytest.raises(MalformedMessage):
        check_authority(mine, b"nonsense")


def test_an_authority_issues_under_its_own_name_wherever_it_stands() -> None:
    first, second = create_authority(START), create_authority(START)
    for bundle in (first.certificate + second.certificate, second.certificate + first.certificate):
        assert own_certificate(Issued(bundle, second.key)) == x509.load_pem_x509_certificate(second.certificate)
    with pytest.raises(ValueError, match="belongs"):
        own_certificate(Issued(first.certificate, second.key))


def test_the_commands_say_how_far_it_has_come(home: Path) -> None:
    def run(step: str) -> dict[str, object]:
        result = CliRunner().invoke(app, ["coordinator", "authority", step, "--home", str(home), "--json"])
        assert result.exit_code == 0, result.output
        found: dict[str, object] = json.loads(result.output)
        return found

    assert run("status") == {"step": "none", "behind": []}
    assert run("next") == {"step": "next", "behind": []}
    assert run("switch") == {"step": "switched", "behind": []}
    assert run("drop") == {"step": "none", "behind": []}
