"""Whose SuperNode the SuperLink answers: at once, and until the coordinator says otherwise."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from starlette.types import Message, Receive, Scope, Send

from federation.flower.admitted import ADMITTED_FILE, admit, digest_of, forget, read_admitted
from federation.flower.superlink import AdmittedOnly
from nodes.further_keys import supernode_pair
from protocols.channel.identity import PartyId

TAX, SOCIAL = PartyId("tax"), PartyId("social")
PULL = "/v1/fleet/pull-messages"


def drawn() -> str:
    return supernode_pair()[1].decode().strip()


def let_in(home: Path, stated: dict[PartyId, str]) -> None:
    """Admit these keys as the coordinator does: from the files that it keeps of the roster's."""
    files = {party: home / f"{party}.pub" for party in stated}
    for party, path in files.items():
        path.write_text(f"{stated[party]}\n")
    admit(home, files)


def header_of(line: str) -> bytes:
    """Return what Flower's own SuperNode shows of its key."""
    key = load_ssh_public_key(line.encode())
    return b64encode(public_key_to_bytes(key))  # type: ignore[arg-type]


def status(home: Path, header: bytes | None, path: str = PULL) -> int:
    """Ask a SuperLink that lets everybody in; return the status of what comes back."""
    seen: list[int] = []

    async def flower(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            seen.append(message["status"])

    headers = [] if header is None else [(b"flwr-public-key", header)]
    scope: Scope = {"type": "http", "path": path, "headers": headers, "method": "POST"}
    asyncio.run(AdmittedOnly(flower, home)(scope, receive, send))
    return seen[0]


def test_a_suspended_party_s_supernode_gets_nothing_and_a_lifted_one_comes_again(tmp_path: Path) -> None:
    tax, social = drawn(), drawn()
    let_in(tmp_path, {TAX: tax, SOCIAL: social})
    assert (status(tmp_path, header_of(tax)), status(tmp_path, header_of(social))) == (200, 200)
    let_in(tmp_path, {SOCIAL: social})
    assert (status(tmp_path, header_of(tax)), status(tmp_path, header_of(social))) == (403, 200)
    let_in(tmp_path, {TAX: tax, SOCIAL: social})
    assert status(tmp_path, header_of(tax)) == 200


def test_an_earlier_key_is_admitted_until_it_is_gone_or_its_party_is_suspended(tmp_path: Path) -> None:
    old, new = drawn(), drawn()
    let_in(tmp_path, {TAX: old})
    let_in(tmp_path, {TAX: new})
    assert (status(tmp_path, header_of(old)), status(tmp_path, header_of(new))) == (200, 200)
    forget(tmp_path, [digest_of(old)])
    assert (status(tmp_path, header_of(old)), status(tmp_path, header_of(new))) == (403, 200)
    let_in(tmp_path, {TAX: old})
    let_in(tmp_path, {})
    assert read_admitted(tmp_path) == {}
    assert (status(tmp_path, header_of(old)), status(tmp_path, header_of(new))) == (403, 403)


def test_no_key_or_none_that_is_one_gets_nothing_once_somebody_is_admitted(tmp_path: Path) -> None:
    assert status(tmp_path, None) == 200  # until then Flower's registration alone decides
    let_in(tmp_path, {TAX: drawn()})
    for header in (None, b"", b"?", b64encode(b"x"), header_of(drawn())):
        assert status(tmp_path, header) == 403
    assert status(tmp_path, None, "/v1/runtime/pull-messages") == 200
    assert (tmp_path / ADMITTED_FILE).exists()
