"""What the health page says comes from the coordinator's own metrics and files, whatever parties say of themselves."""

from __future__ import annotations

import datetime
import secrets
from pathlib import Path
from types import SimpleNamespace

import pytest

from federation.console.health import coordinator_health, software_version
from federation.process.http import serve_health
from federation.relay.authority import create_authority, issue
from federation.relay.server import _version
from federation.relay.switchboard import Switchboard
from protocols.channel.identity import PartyId, PartyKeys, PartyRole, make_card
from protocols.channel.pins import Pins
from protocols.consent import RevocationList
from protocols.consent.revocation import sign_revocations
from protocols.stream import VERSION_KEY, StreamEnd, StreamLimits

NOW = 1_781_000_000
UNTIL = datetime.datetime.fromtimestamp(NOW + 86_400, datetime.UTC)
CONSENTS = PartyKeys.generate(PartyId("consent_service"), secrets.token_bytes)


@pytest.fixture
def pins() -> Pins:
    roles = {"office-7": PartyRole.DATA_NODE, "bank-7": PartyRole.BANK, "coordinator": PartyRole.COORDINATOR}
    cards = [make_card(PartyKeys.generate(PartyId(name), secrets.token_bytes), role) for name, role in roles.items()]
    return Pins([*cards, make_card(CONSENTS, PartyRole.CONSENT_SERVICE)])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A coordinator's folder with settings and certificates."""
    (tmp_path / "coordinator.yaml").write_text("http: unix:h.sock\nrevocations: list.jwt\n")
    (tmp_path / "tls").mkdir()
    authority = create_authority(UNTIL)
    (tmp_path / "tls" / "authority.pem").write_bytes(authority.certificate)
    own = issue(authority, PartyId("coordinator"), UNTIL, 30, "server")
    (tmp_path / "tls" / "certificate.pem").write_bytes(own.certificate)
    return tmp_path


def test_streams_versions_and_certificates_come_from_the_metrics(home: Path, pins: Pins) -> None:
    board, end = Switchboard(), StreamEnd(StreamLimits())
    board.connect(PartyId("office-7"), end)
    board.describe(PartyId("office-7"), UNTIL, "0.0.9")
    board.describe(PartyId("office-7"), UNTIL, "0.1.0")
    with serve_health("unix:h.sock", home, lambda: True):
        found = coordinator_health(home, pins, NOW)
        states = {one.party: one for one in found.parties}
        assert (found.answering, set(states)) == (True, {"office-7", "bank-7"})
        tax, bank = states["office-7"], states["bank-7"]
        assert (tax.connected, tax.version, tax.certificate_until) == (True, "0.1.0", NOW + 86_400)
        assert bank.connected is False
        board.disconnect(PartyId("office-7"), end, "STREAM_ENDED")
        assert coordinator_health(home, pins, NOW).parties[1].connected is False
    assert found.software == software_version()
    assert found.relay_until == NOW + 31 * 86_400
    assert found.authority_until is not None
    assert found.revocations is None


def test_a_coordinator_that_does_not_answer_leaves_streams_unknown(home: Path, pins: Pins) -> None:
    found = coordinator_health(home, pins, NOW)
    assert not found.answering
    assert {one.connected for one in found.parties} == {None}


def test_a_list_of_revocations_counts_while_it_is_fresh_and_signed(home: Path, pins: Pins) -> None:
    listed = RevocationList("consent_service", 7, NOW - 20, NOW + 40, frozenset({bytes(32)}))
    text = sign_revocations(listed, CONSENTS.signing)
    for content, now, code in (
        (text, NOW, ""),
        (text, NOW + 41, "CONSENT_LIST_STALE"),
        (text[:-4] + "AAAA", NOW, "CONSENT_LIST_INVALID"),
        ("no list", NOW, "CONSENT_LIST_INVALID"),
    ):
        (home / "list.jwt").write_text(content)
        found = coordinator_health(home, pins, now).revocations
        assert found is not None
        assert found.code == code
        if not code:
            assert (found.issuer, found.sequence, found.revoked) == ("consent_service", 7, 1)


@pytest.mark.parametrize("said", ["", "x" * 40, "1.0\n2", '1"} evil{', b"1.0", "<b>", "v1"])
def test_a_version_that_is_none_becomes_no_label(said: str | bytes) -> None:
    context = SimpleNamespace(invocation_metadata=lambda: ((VERSION_KEY, said), ("other", "1.0")))
    assert _version(context) == ""
    good = SimpleNamespace(invocation_metadata=lambda: ((VERSION_KEY, "0.1.0+local.1"),))
    assert _version(good) == "0.1.0+local.1"
    assert _version(SimpleNamespace(invocation_metadata=lambda: None)) == ""
