"""A bank that asks what it may not: of two enterprises at once, out of time, of another node set, without consent."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import replace

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocols.assessment.messages import Query
from protocols.assessment.node import check_part, check_query
from protocols.channel.identity import PartyId, PartyKeys, PartyRole, make_card
from protocols.consent import Consent, Purpose, issue_consent, verify_consent
from protocols.errors import CreditFederationError, PolicyDenied, VerificationFailed
from protocols.paillier import PublicKey
from tests.protocol.assessing import BINS, LIFETIME, NODES, NOW, PARTS, AssessmentNetwork, points
from tests.protocol.network import BANK, paillier_key

SERVICE = PartyKeys.generate(PartyId("consents"), secrets.token_bytes)
SERVICE_CARD = make_card(SERVICE, PartyRole.CONSENT_SERVICE)
ENTERPRISE = "91999999MA0DEM013K"


@pytest.fixture(scope="module")
def network() -> AssessmentNetwork:
    return AssessmentNetwork()


# ---- one question, two faces

ABSENT = {node: (0,) * len(PARTS[node]) for node in NODES}


def total_of_two_faces(network: AssessmentNetwork, to_the_others: str) -> int | CreditFederationError | None:
    """Ask one node about a customer, and all others about a firm whose points the bank knows."""
    query = network.query()
    bank, relay = network.bank(query), network.relay(query)
    answers = network.answers(query, to_the_others, ABSENT)
    answers[NODES[0]] = network.answers(query, "customer", BINS)[NODES[0]]
    for envelope in answers.values():
        bank.receive(envelope)
        for product in relay.receive(envelope):
            bank.receive(product)
    return bank.opened.total if bank.opened else bank.failure


def test_nodes_asked_about_different_enterprises_give_no_answer(network: AssessmentNetwork) -> None:
    failure = total_of_two_faces(network, "firm of which all is known")
    assert isinstance(failure, VerificationFailed)
    assert failure.code == "RESULT_OUT_OF_RANGE"


def test_without_the_enterprise_in_the_masks_two_faces_show_one_nodes_score(network: AssessmentNetwork) -> None:
    """What every node would answer if it masked without saying of whom it speaks: all name the same enterprise."""
    known = sum(points(node, ABSENT) for node in NODES[1:])
    total = total_of_two_faces(network, "customer")
    assert isinstance(total, int)
    assert total - known == points(NODES[0], BINS)


# ---- the query


def ask_with(network: AssessmentNetwork, now: int = NOW + 1, **changes: object) -> None:
    check_query(msgspec.structs.replace(network.query(), **changes), network.manifest, now)


def test_the_honest_query_is_answered_from_a_minute_before_to_a_minute_after(network: AssessmentNetwork) -> None:
    for now in (NOW - 60, NOW, NOW + LIFETIME, NOW + LIFETIME + 59):
        ask_with(network, now)


@pytest.mark.parametrize("now", [0, NOW - 61, NOW + LIFETIME + 60, 1 << 40])
def test_an_expired_or_premature_query_is_refused(network: AssessmentNetwork, now: int) -> None:
    with pytest.raises(VerificationFailed) as caught:
        ask_with(network, now)
    assert caught.value.code == "QUERY_EXPIRED"


@pytest.mark.parametrize(("issued", "expires"), [(NOW, NOW + 3601), (NOW, NOW - 120), (0, NOW + 10)])
def test_a_query_that_would_hold_for_more_than_an_hour_is_refused(
    network: AssessmentNetwork, issued: int, expires: int
) -> None:
    with pytest.raises(VerificationFailed) as caught:
        ask_with(network, issued=issued, expires=expires)
    assert caught.value.code == "QUERY_EXPIRED"


@pytest.mark.parametrize(
    "nodes", [NODES[:3], NODES[:1], (*NODES, "extra"), NODES[::-1], (*NODES[:3], "other")], ids=str
)
def test_a_query_that_names_another_node_set_is_refused(network: AssessmentNetwork, nodes: tuple[str, ...]) -> None:
    with pytest.raises(VerificationFailed) as caught:
        ask_with(network, nodes=nodes)
    assert caught.value.code == "WRONG_NODE_SET"


def test_different_node_sets_told_to_different_nodes_are_different_queries(network: AssessmentNetwork) -> None:
    """Each set has a transcript of its own, and so masks of its own: shares of two sets never open together."""
    query = network.query()
    smaller = msgspec.structs.replace(query, nodes=NODES[:3])
    answers = network.answers(query)
    shares = [network.share(node, smaller if node == NODES[0] else query).ciphertext for node in answers]
    assert network.open_product(shares) >> 100


def test_another_purpose_model_or_bank_is_refused(network: AssessmentNetwork) -> None:
    for changes, code in (
        ({"purpose": "marketing"}, "PURPOSE_DENIED"),
        ({"model": bytes(32)}, "WRONG_MODEL"),
        ({"bank": "other-bank"}, "WRONG_MODEL"),
    ):
        with pytest.raises(CreditFederationError) as caught:
            ask_with(network, **changes)
        assert caught.value.code == code


@pytest.mark.parametrize("field", list(Query.__struct_fields__))
def test_every_field_of_a_query_is_bound_by_its_transcript(network: AssessmentNetwork, field: str) -> None:
    query = network.query()
    value = getattr(query, field)
    other = value + 1 if isinstance(value, int) else value[:-1] + (b"x" if isinstance(value, bytes) else value[:0])
    assert msgspec.structs.replace(query, **{field: other}).transcript() != query.transcript()


def test_a_sum_too_wide_for_the_banks_key_is_not_signed_for(network: AssessmentNetwork) -> None:
    entry = network.manifest.nodes[0]
    wide = msgspec.structs.replace(network.manifest, nodes=(entry,) * 370)
    part = PARTS[NODES[0]]
    check_part(network.manifest, part, network.bank_key.public_key)
    with pytest.raises(VerificationFailed):
        check_part(wide, part, PublicKey(paillier_key(0).public_key.n, 768))


# ---- consent

CONSENT = Consent(ENTERPRISE, BANK, Purpose.ASSESSMENT, ("tax", "social"), NOW, NOW + 1000, "c-1")


def code_of(token: str, now: int = NOW + 1, domain: str = "tax", bank: str = BANK, subject: str = ENTERPRISE) -> str:
    """Return with which code a tax node refuses the token, or "" if it accepts it."""
    try:
        verify_consent(
            token, SERVICE_CARD, subject=subject, bank=bank, purpose=Purpose.ASSESSMENT, domain=domain, now=now
        )
    except PolicyDenied as refusal:
        return refusal.code
    return ""


def claims() -> dict[str, object]:
    return jwt.decode(issue_consent(CONSENT, SERVICE), options={"verify_signature": False})


def by_hand(header: dict[str, object], body: dict[str, object], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(body).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def test_an_honest_consent_is_accepted_and_says_what_it_allows() -> None:
    assert code_of(issue_consent(CONSENT, SERVICE)) == ""


def test_algorithm_none_is_refused() -> None:
    for name in ("none", "None", "NONE", ""):
        assert code_of(by_hand({"alg": name, "typ": "JWT"}, claims())) == "CONSENT_INVALID"


def test_hs256_with_the_public_key_as_secret_is_refused() -> None:
    raw = bytes(SERVICE_CARD.verify_key)
    pem = SERVICE.signing.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    tokens = [jwt.encode(claims(), raw, algorithm="HS256")]
    hmac_of_pem = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signing_input = by_hand({"alg": "HS256", "typ": "JWT"}, claims()).rsplit(".", 1)[0]
    signature = hmac_of_pem.sign(signing_input.encode(), pem)
    tokens.append(f"{signing_input}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}")
    assert [code_of(token) for token in tokens] == ["CONSENT_INVALID"] * 2


def test_a_consent_signed_by_another_service_is_refused() -> None:
    stranger = PartyKeys.generate(PartyId("consents"), secrets.token_bytes)
    assert code_of(issue_consent(CONSENT, stranger)) == "CONSENT_INVALID"
    renamed = PartyKeys(PartyId("other"), SERVICE.signing, SERVICE.sealing, SERVICE.mask)
    assert code_of(issue_consent(CONSENT, renamed)) == "CONSENT_INVALID"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("bank", "other-bank", "CONSENT_SCOPE"),
        ("subject", "91999999MADAEEB980", "CONSENT_SCOPE"),
        ("purpose", Purpose.TRAINING, "CONSENT_SCOPE"),
        ("domains", ("social",), "CONSENT_SCOPE"),
        ("domains", (), "CONSENT_SCOPE"),
        ("expires", NOW + 1, "CONSENT_EXPIRED"),
        ("not_before", NOW + 2, "CONSENT_EXPIRED"),
    ],
    ids=str,
)
def test_a_consent_for_something_else_is_refused(field: str, value: object, code: str) -> None:
    assert code_of(issue_consent(replace(CONSENT, **{field: value}), SERVICE)) == code


def test_no_consent_is_refused() -> None:
    assert code_of("") == "CONSENT_MISSING"


@pytest.mark.parametrize("missing", ["iss", "sub", "aud", "purpose", "domains", "nbf", "exp", "jti"])
def test_a_consent_that_leaves_a_claim_out_is_refused(missing: str) -> None:
    body = {name: value for name, value in claims().items() if name != missing}
    assert code_of(jwt.encode(body, SERVICE.signing, algorithm="EdDSA")) == "CONSENT_INVALID"


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("aud", [BANK, "other"]),
        ("aud", [BANK]),
        ("sub", [ENTERPRISE]),
        ("domains", "tax"),
        ("domains", ["tax", 1]),
        ("domains", {"tax": 1}),
        ("purpose", ["assessment"]),
        ("purpose", None),
        ("exp", 1e400),
        ("exp", "soon"),
        ("exp", None),
        ("nbf", [0]),
        ("nbf", float("nan")),
    ],
    ids=str,
)
def test_a_claim_of_another_type_is_refused_even_under_a_good_signature(claim: str, value: object) -> None:
    token = jwt.encode(claims() | {claim: value}, SERVICE.signing, algorithm="EdDSA")
    assert code_of(token) in ("CONSENT_INVALID", "CONSENT_SCOPE")


def test_a_consent_with_one_character_changed_is_refused() -> None:
    token = issue_consent(CONSENT, SERVICE)
    signature = token.rindex(".")
    for place in (*range(0, signature, 7), signature + 1, signature + 40):
        if token[place] != ".":
            changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
            assert code_of(changed) == "CONSENT_INVALID"
