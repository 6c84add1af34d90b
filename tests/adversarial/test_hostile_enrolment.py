"""Who wants to be a party uninvited, or another than invited: what it gets, and what the operator sees."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from federation.enrolment.inviting import approve
from federation.enrolment.service import CONNECTIONS, REFUSALS
from federation.local.layout import COORDINATOR
from nodes.enrolment import joining as joining_module
from nodes.enrolment.dialling import exchange
from nodes.enrolment.joining import Joining
from nodes.keystore import read_cards, read_roster
from protocols.channel.identity import PartyId, PartyKeys, PartyRole, make_card
from protocols.channel.wire import encode
from protocols.enrolment import messages as m
from protocols.enrolment.certificates import draw_tls_key, signing_request
from protocols.enrolment.framing import HEADER_BYTES, frame
from protocols.enrolment.roster import pin_next, sign_other_keys
from protocols.enrolment.token import Token, parse_token, secret_digest
from protocols.errors import ConfigurationError, PeerRefused, TransportError, VerificationFailed
from tests.enrolling import HOURS, Office, listening, make_office, make_party


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Joining]:
    """Two parties with keys of their own, which have asked for nothing."""
    folder = tmp_path_factory.mktemp("founded")
    return {name: make_party(folder / name, name, first) for first, name in enumerate(("tax", "social"))}


@pytest.fixture
def tax(founded: dict[str, Joining], tmp_path: Path) -> Joining:
    return copied(founded["tax"], tmp_path)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = make_office(tmp_path / "coordinator")
    with listening(made):
        yield made


def copied(party: Joining, folder: Path) -> Joining:
    home = Path(shutil.copytree(party.home, folder / party.home.name))
    return Joining(home, party.settings, party.witness, party.keys, party.card)


def code_of(office: Office, party: Joining, token: Token) -> str:
    """The code with which a request is refused."""
    with pytest.raises(PeerRefused) as refusal:
        party.ask(token, office.address)
    return refusal.value.code


def sent(office: Office, token: Token, application: m.Application, keys: PartyKeys, secret: bytes = b"") -> m.Answered:
    """Send an application of the test's own making."""

    def ask(challenge: m.Challenge, server: bytes) -> m.EnrolmentRequest:
        return m.make_request(keys, secret or token.secret, application, challenge.nonce, server)

    return exchange(office.address, token.server, ask)[1]


def test_an_invited_party_is_enrolled_once_the_operator_has_compared(office: Office, tax: Joining) -> None:
    token = office.invite("tax")
    digits = tax.ask(token, office.address)
    assert not tax.poll()
    assert "tax" not in office.registrar.entries
    office.approve("tax", digits)
    assert tax.poll()
    assert read_cards(tax.home / "cards").cards[PartyId("tax")] == tax.card
    assert "address: 127.0.0.1:7443" in (tax.home / "node.yaml").read_text()
    steps = [(actor, values.get("role"), values.get("step")) for actor, values in office.leaves]
    assert ("tax", "data_node", "enrolled") in steps
    assert ("tax", "tls", "certified") in steps
    assert ("tax", "supernode", "enrolled") in steps
    assert ("tax", "witness", "enrolled") in steps


def test_an_answer_that_is_cut_off_does_not_shut_its_party_out(
    office: Office, tax: Joining, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, real = office.invite("tax"), joining_module.exchange

    def cut_off(*asked: Any) -> tuple[m.Challenge, m.Answered]:
        real(*asked)
        raise TransportError("the line is cut", code="COORDINATOR_UNAVAILABLE")

    monkeypatch.setattr(joining_module, "exchange", cut_off)
    with pytest.raises(TransportError):
        tax.ask(token, office.address)
    monkeypatch.undo()
    digits = tax.ask(token, office.address)  # its token is used up, by itself
    office.approve("tax", digits)
    assert tax.poll()


def test_a_refused_party_has_asked_nobody(office: Office, tax: Joining) -> None:
    token = office.invite("tax")
    assert code_of(office, tax, Token(token.party, bytes(16), token.server)) == "TOKEN_UNKNOWN"
    assert tax.state() is None


def test_a_wrong_token_gets_nothing(office: Office, tax: Joining) -> None:
    token = office.invite("tax")
    wrong = Token(token.party, bytes(16), token.server)
    assert code_of(office, tax, wrong) == "TOKEN_UNKNOWN"
    assert office.registry.applicants() == []


def test_a_used_token_gets_nothing(office: Office, tax: Joining, founded: dict[str, Joining], tmp_path: Path) -> None:
    token = office.invite("tax")
    tax.ask(token, office.address)
    thief = make_party(tmp_path / "thief" / "tax", "tax", 2)
    assert code_of(office, thief, token) == "TOKEN_USED"
    (applicant,) = office.registry.applicants()
    assert applicant.application.card == tax.card


def test_an_expired_token_gets_nothing(office: Office, tax: Joining) -> None:
    token = office.invite("tax")
    office.now[0] += HOURS
    assert code_of(office, tax, token) == "TOKEN_EXPIRED"


def test_a_new_invitation_ends_the_one_before(office: Office, tax: Joining) -> None:
    first, second = office.invite("tax"), office.invite("tax")
    assert code_of(office, tax, first) == "TOKEN_UNKNOWN"
    tax.ask(second, office.address)


def test_the_token_s_secret_lies_nowhere_at_the_coordinator(office: Office, tax: Joining) -> None:
    token = office.invite("tax")
    tax.ask(token, office.address)
    kept = b"".join(path.read_bytes() for path in office.home.rglob("*") if path.is_file())
    assert token.secret not in kept
    assert token.spell().encode() not in kept
    assert token.spell().split(".")[2] not in repr(token)
    assert secret_digest(token.secret) in kept


def test_other_digits_than_the_party_s_enrol_nobody(office: Office, tax: Joining) -> None:
    digits = tax.ask(office.invite("tax"), office.address)
    wrong = digits[:-1] + str((int(digits[-1]) + 1) % 10)
    for told in (wrong, "", digits[:-6]):
        with pytest.raises(VerificationFailed) as refusal:
            approve(office.home, office.pins.cards[COORDINATOR], "tax", told)
        assert refusal.value.code == "FINGERPRINT_MISMATCH"
    assert office.registrar.reconcile() == []
    assert not tax.poll()


def test_the_digits_change_with_every_key_of_either_side(office: Office, tax: Joining) -> None:
    coordinator, application = office.pins.cards[COORDINATOR], tax._application()
    keys = PartyKeys.generate(tax.keys.party, lambda size: bytes(range(size)))
    others = [
        msgspec.structs.replace(application, csr=signing_request(PartyId("tax"), draw_tls_key())),
        msgspec.structs.replace(application, keys=sign_other_keys(tax.keys, application.keys.witness, "another")),
        msgspec.structs.replace(application, keys=sign_other_keys(tax.keys, "another", application.keys.supernode)),
        msgspec.structs.replace(application, card=make_card(keys, PartyRole.DATA_NODE)),
    ]
    found = {application.fingerprint(coordinator), application.fingerprint(tax.card)}
    assert len(found | {other.fingerprint(coordinator) for other in others}) == 6


def test_a_server_with_another_key_hears_nothing(office: Office, tax: Joining, tmp_path: Path) -> None:
    """Somebody in the middle, with a certificate of its own for the same name, answers in the coordinator's place."""
    token, heard = office.invite("tax"), []
    middle = make_office(tmp_path / "middle")
    answer = middle.service.answer
    middle.service.answer = lambda data, nonce: heard.append(data) or answer(data, nonce)  # type: ignore[method-assign]
    with listening(middle), pytest.raises(VerificationFailed) as refusal:
        tax.ask(token, middle.address)
    assert refusal.value.code == "WRONG_SERVER"
    assert heard == []
    assert not (tax.home / "enrolment.json").exists()


def test_a_request_that_was_heard_once_serves_on_no_other_connection(office: Office, tax: Joining) -> None:
    """Also while its token is still good: the signature covers the nonce of one connection."""
    token, recorded = office.invite("tax"), []

    def ask(challenge: m.Challenge, server: bytes) -> m.EnrolmentRequest:
        recorded.append(m.make_request(tax.keys, token.secret, tax._application(), challenge.nonce, server))
        return msgspec.structs.replace(recorded[0], signature=bytes(64))

    assert isinstance(exchange(office.address, token.server, ask)[1], m.Refused)
    _, answer = exchange(office.address, token.server, lambda *_: recorded[0])
    assert answer == m.Refused("VERIFICATION_FAILED")
    assert office.registry.applicants() == []
    tax.ask(token, office.address)


def test_a_poll_that_was_heard_once_serves_on_no_other_connection(office: Office, tax: Joining) -> None:
    token, recorded = office.invite("tax"), []
    office.approve("tax", tax.ask(token, office.address))

    def ask(challenge: m.Challenge, server: bytes) -> m.EnrolmentPoll:
        recorded.append(m.make_poll(tax.keys, tax._signing_request(), challenge.nonce, server))
        return recorded[0]

    assert isinstance(exchange(office.address, token.server, ask)[1], m.Granted)
    _, answer = exchange(office.address, token.server, lambda *_: recorded[0])
    assert answer == m.Refused("VERIFICATION_FAILED")


def test_a_signing_request_that_names_another_party_gets_no_certificate(office: Office, tax: Joining) -> None:
    token = office.invite("tax")
    stolen = msgspec.structs.replace(tax._application(), csr=signing_request(PartyId("bank"), draw_tls_key()))
    assert sent(office, token, stolen, tax.keys) == m.Refused("CSR_NAME")
    assert office.registry.applicants() == []


def test_a_card_of_another_party_or_role_than_invited_is_refused(
    office: Office, tax: Joining, founded: dict[str, Joining]
) -> None:
    token, social = office.invite("tax"), founded["social"]
    assert sent(office, token, social._application(), social.keys) == m.Refused("WRONG_PARTY")
    bank = office.invite("tax", PartyRole.BANK)
    assert sent(office, bank, tax._application(), tax.keys) == m.Refused("WRONG_PARTY")


def test_a_card_whose_key_the_asker_does_not_hold_is_refused(office: Office, tax: Joining) -> None:
    thief = PartyKeys.generate(tax.keys.party, lambda size: bytes(range(size)))
    assert sent(office, office.invite("tax"), tax._application(), thief) == m.Refused("VERIFICATION_FAILED")


def test_a_key_of_another_party_is_refused(office: Office, tax: Joining, tmp_path: Path) -> None:
    """The Paillier key, or the SuperNode's, of a party that is enrolled, under another name."""
    office.approve("tax", tax.ask(office.invite("tax"), office.address))
    twin = make_party(tmp_path / "social", "social", 0)  # the same Paillier key as tax's
    assert code_of(office, twin, office.invite("social")) == "KEY_TAKEN"
    other = make_party(tmp_path / "housing", "housing", 3)
    shutil.copy(tax.home / "supernode.pub", other.home / "supernode.pub")
    assert code_of(office, other, office.invite("housing")) == "KEY_TAKEN"


@pytest.mark.parametrize("name", ["../tax", "a/b", "..", ".hidden", "_everyone", "a\0b", "a b", "", "x" * 65, "tax\n"])
def test_a_name_that_could_be_a_path_is_no_party_s(office: Office, name: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        office.invite(name)
    assert refusal.value.code == "BAD_NAME"


def test_a_party_s_name_is_given_once(office: Office, tax: Joining) -> None:
    office.approve("tax", tax.ask(office.invite("tax"), office.address))
    with pytest.raises(ConfigurationError) as refusal:
        office.invite("tax")
    assert refusal.value.code == "NAME_TAKEN"


def test_a_poll_of_a_stranger_learns_nothing(office: Office, tax: Joining, founded: dict[str, Joining]) -> None:
    token = office.invite("tax")
    office.approve("tax", tax.ask(token, office.address))
    social = founded["social"]

    def ask(challenge: m.Challenge, server: bytes) -> m.EnrolmentPoll:
        forged = m.make_poll(social.keys, tax._signing_request(), challenge.nonce, server)
        return msgspec.structs.replace(forged, party="tax")

    assert exchange(office.address, token.server, ask)[1] == m.Refused("VERIFICATION_FAILED")


def test_a_roster_that_gives_a_pinned_party_another_key_is_refused(
    office: Office, tax: Joining, tmp_path: Path
) -> None:
    """A coordinator that turns, or whoever stole its key, cannot put itself in a party's place."""
    office.approve("tax", tax.ask(office.invite("tax"), office.address))
    assert tax.poll()
    entries = office.registrar.entries
    impostor = make_party(tmp_path / "impostor" / "tax", "tax", 4)
    forged = entries[PartyId("tax")]
    lineage = msgspec.structs.replace(forged.lineage, card=impostor.card)
    entries[PartyId("tax")] = msgspec.structs.replace(forged, lineage=lineage, keys=None)
    state, signed = tax.state(), office.registrar._sign(99, entries)
    assert state is not None
    with pytest.raises(VerificationFailed) as refusal:
        tax._check_roster(signed, state)
    assert refusal.value.code == "KEY_CHANGED"
    pins = read_cards(tax.home / "cards")
    with pytest.raises(VerificationFailed):
        pin_next(pins, signed)
    assert pins.cards[PartyId("tax")] == tax.card


def test_an_older_roster_is_refused(office: Office, tax: Joining) -> None:
    office.approve("tax", tax.ask(office.invite("tax"), office.address))
    assert tax.poll()
    signed = read_roster(tax.home / "cards")
    assert signed is not None
    office.registrar.roster = office.registrar._sign(1, office.registrar.entries)
    tax.poll()
    assert read_roster(tax.home / "cards") == signed


# ---- many, long, slow


def raw(office: Office) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, port = office.address.split(":")
    return context.wrap_socket(socket.create_connection((host, int(port)), 30))


def test_junk_and_oversized_requests_are_refused(office: Office) -> None:
    for data in (frame(b"junk"), frame(b""), (1 << 31).to_bytes(HEADER_BYTES, "big")):
        with raw(office) as connection:
            connection.sendall(data)
            heard = b""
            while part := connection.recv(1 << 16):
                heard += part
        assert heard.endswith(encode(m.Refused("MALFORMED_MESSAGE")))


def test_an_address_that_is_refused_again_and_again_is_not_heard_for_a_while(office: Office, tax: Joining) -> None:
    token = office.invite("tax")
    wrong = Token(token.party, bytes(16), token.server)
    for _ in range(REFUSALS):
        assert code_of(office, tax, wrong) == "TOKEN_UNKNOWN"
    with pytest.raises(TransportError):
        tax.ask(token, office.address)


def test_a_flood_of_connections_is_bounded(office: Office) -> None:
    """Plain connections that never say a word: no more than so many are held, the others are closed at once."""
    host, port = office.address.split(":")
    flood = [socket.create_connection((host, int(port)), 30) for _ in range(3 * CONNECTIONS)]
    closed = []

    def read(connection: socket.socket) -> None:
        try:
            if connection.recv(1) == b"":
                closed.append(connection)
        except OSError:
            pass

    readers = [threading.Thread(target=read, args=(connection,), daemon=True) for connection in flood]
    for reader in readers:
        reader.start()
    limit = threading.Event()
    for _ in range(600):
        if len(closed) >= 2 * CONNECTIONS:
            break
        limit.wait(0.1)
    assert len(closed) >= 2 * CONNECTIONS
    assert len(office.service._attending) <= CONNECTIONS
    for connection in flood:
        connection.close()


def test_what_a_token_spells_is_read_back_and_nothing_else(office: Office) -> None:
    token = office.invite("tax.north")
    assert parse_token(f" {token.spell()}\n") == token
    for text in ("", "cfed1", token.spell()[:-1], token.spell() + "A", token.spell().replace("cfed1", "cfed2")):
        with pytest.raises(ConfigurationError):
            parse_token(text)
