"""A party's secrets are on disk for the owner alone, and a damaged file is named, never half believed."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from nodes.keystore import create_party, read_cards, read_keys, read_paillier, write_cards
from protocols.channel.identity import PartyId, PartyRole
from protocols.errors import ConfigurationError, VerificationFailed

KEY_BITS = 512
TAX = PartyId("tax")


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("keys")
    card = create_party(home / "tax", TAX, PartyRole.DATA_NODE, KEY_BITS)
    write_cards(home / "cards", [card])
    return home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_for_the_owner_alone(party: Path) -> None:
    assert mode(party / "tax") == 0o700
    assert mode(party / "tax" / "party.key") == 0o600
    assert mode(party / "tax" / "paillier.pem") == 0o600


def test_what_was_written_is_what_is_read(party: Path) -> None:
    card = read_cards(party / "cards").card(TAX, PartyRole.DATA_NODE)
    keys, paillier = read_keys(party / "tax"), read_paillier(party / "tax")
    assert keys.party == TAX
    assert keys.signing.public_key().public_bytes_raw() == card.verify_key
    assert keys.mask.public_key().public_bytes_raw() == card.mask_key
    assert paillier.public_key == read_cards(party / "cards").paillier_key(TAX, KEY_BITS)


def test_neither_key_is_in_the_other_file_nor_on_the_card(party: Path) -> None:
    keys, paillier = read_keys(party / "tax").to_bytes(), read_paillier(party / "tax")
    prime = int(paillier.p).to_bytes(KEY_BITS // 16)
    public = (party / "cards" / "tax.card").read_bytes() + (party / "tax" / "paillier.pem").read_bytes()
    for secret in (keys[:32], keys[32:64], keys[64:], prime):
        assert secret not in public
    assert prime not in (party / "tax" / "party.key").read_bytes()


def test_a_party_without_a_paillier_key_has_none(tmp_path: Path) -> None:
    card = create_party(tmp_path / "coordinator", PartyId("coordinator"), PartyRole.COORDINATOR, None)
    assert card.paillier_key == b""
    with pytest.raises(ConfigurationError) as refusal:
        read_paillier(tmp_path / "coordinator")
    assert refusal.value.code == "MISSING_KEY"


def test_existing_keys_are_never_overwritten(party: Path) -> None:
    before = (party / "tax" / "party.key").read_bytes()
    with pytest.raises(FileExistsError):
        create_party(party / "tax", TAX, PartyRole.DATA_NODE, None)
    assert (party / "tax" / "party.key").read_bytes() == before


@pytest.mark.parametrize("content", [None, b"", b"\xc1", b"\x81\xa5party\xa1\xff", "short keys"])
def test_a_damaged_key_file_is_named(tmp_path: Path, content: bytes | str | None) -> None:
    if content == "short keys":
        content = msgspec.msgpack.encode({"party": "tax", "keys": b"k" * 95, "passphrase": b"p"})
    if isinstance(content, bytes):
        (tmp_path / "party.key").write_bytes(content)
    with pytest.raises(ConfigurationError) as refusal:
        read_keys(tmp_path)
    assert refusal.value.code == "MISSING_KEY"
    assert "party.key" in str(refusal.value)


def test_a_folder_without_cards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        read_cards(tmp_path)


def test_a_card_that_was_altered_is_refused(party: Path, tmp_path: Path) -> None:
    data = bytearray((party / "cards" / "tax.card").read_bytes())
    data[-1] ^= 1
    (tmp_path / "tax.card").write_bytes(bytes(data))
    with pytest.raises(VerificationFailed):
        read_cards(tmp_path)
    (tmp_path / "tax.card").write_bytes(bytes(data[:-1]))
    with pytest.raises(ConfigurationError) as refusal:
        read_cards(tmp_path)
    assert refusal.value.code == "MALFORMED_CARD"
