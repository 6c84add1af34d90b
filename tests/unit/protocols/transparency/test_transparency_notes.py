"""Signed notes and checkpoints, byte for byte against the published examples."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.errors import MalformedMessage, VerificationFailed
from protocols.transparency.checkpoints import (
    NO_QUORUM,
    NOT_SIGNED,
    Checkpoint,
    Cosignature,
    CosignatureSigner,
    LogKeys,
    parse_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
    verify_cosignature,
    verify_log_signature,
)
from protocols.transparency.hashing import EMPTY_ROOT
from protocols.transparency.notes import (
    NoteSigner,
    SignatureLine,
    SignatureType,
    SignedNote,
    VerifierKey,
    parse_note,
    parse_signature_lines,
    parse_vkey,
)

# The key, text and signature of the Go reference implementation's tests (golang.org/x/mod/sumdb/note, BSD-3-Clause).
GO_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"  # noqa: S105 - published
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ENOCH_VKEY = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
ENOCH_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)

# A checkpoint of a public Certificate Transparency staging log, as published, with its witnesses' cosignatures; its
# first signature is of a type that we do not know and must pass over.
PUBLIC_CHECKPOINT = """arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
"""  # noqa: E501 - the signature lines are one line each
PUBLIC_LOG = parse_vkey("arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f")
PUBLIC_WITNESS = parse_vkey("remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2")


def signer(seed: int, name: str = "log.test") -> NoteSigner:
    return NoteSigner(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def witness(seed: int) -> CosignatureSigner:
    return CosignatureSigner(f"node-{seed}", Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def cosigned(note: SignedNote, *witnesses: CosignatureSigner) -> SignedNote:
    return note.with_signatures([one.cosign(note.text, 100 + i) for i, one in enumerate(witnesses)])


def test_signing_gives_the_published_bytes() -> None:
    seed = base64.b64decode(GO_SECRET.split("+", 4)[4])[1:]
    key = NoteSigner("PeterNeumann", Ed25519PrivateKey.from_private_bytes(seed))
    assert key.verifier.vkey() == GO_VKEY
    assert key.sign(GO_TEXT).encode() == (GO_TEXT + "\n" + GO_LINE).encode()


def test_published_note_verifies_under_each_of_its_keys() -> None:
    note = parse_note((GO_TEXT + "\n" + GO_LINE + ENOCH_LINE).encode())
    assert note.text == GO_TEXT
    for vkey in (GO_VKEY, ENOCH_VKEY):
        key = parse_vkey(vkey)
        (line,) = [line for line in note.signatures if line.claims(key)]
        key.verify(note.text.encode(), line.signature)
        with pytest.raises(VerificationFailed):
            key.verify(note.text.encode() + b"!", line.signature)


@pytest.mark.parametrize(
    "note",
    [
        GO_TEXT,
        GO_TEXT + "\n",
        GO_TEXT + "\n" + GO_LINE[:-1],
        "\x01" + GO_TEXT + "\n" + GO_LINE,
        GO_TEXT + "\n— Bad Name " + GO_LINE.split(" ")[2],
        GO_TEXT + "\n" + GO_LINE + "Unexpected line.\n",
        GO_TEXT + "\n" + GO_LINE * 101,
        GO_TEXT + "\n" + GO_LINE.replace("=", ""),
        GO_TEXT + "\n— PeterNeumann x08go/==\n",
        GO_TEXT + "\n— Peter+Neumann x08go/Z=\n",
        "\n" + GO_LINE,
        "",
    ],
)
def test_malformed_notes_of_the_reference_implementation(note: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_note(note.encode())


def test_a_note_that_is_not_utf8_or_too_long_is_malformed() -> None:
    for data in (b"\xff" + (GO_TEXT + "\n" + GO_LINE).encode(), b"a" * 70_000):
        with pytest.raises(MalformedMessage):
            parse_note(data)


def test_every_mangling_of_a_vkey_is_refused() -> None:
    for start in range(len(GO_VKEY)):
        for end in range(start + 1, len(GO_VKEY) + 1):
            if (start, end) != (0, len(GO_VKEY)):
                with pytest.raises(MalformedMessage):
                    parse_vkey(GO_VKEY[start:end])
    for i, character in enumerate(GO_VKEY):
        with pytest.raises(MalformedMessage):
            parse_vkey(GO_VKEY[:i] + chr(ord(character) + 1) + GO_VKEY[i + 1 :])
    for bad in (
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ):
        with pytest.raises(MalformedMessage):
            parse_vkey(bad)


def test_a_second_spelling_of_a_signature_is_refused() -> None:
    """Base64 with stray low bits decodes to the same bytes elsewhere; here it would be a second note."""
    with pytest.raises(MalformedMessage):
        parse_signature_lines(GO_LINE.replace("nAM=", "nAN="))


def test_public_checkpoint_verifies_with_log_and_witness() -> None:
    verified = verify_checkpoint(PUBLIC_CHECKPOINT.encode(), PUBLIC_LOG, [PUBLIC_WITNESS], 1)
    assert verified.checkpoint.size == 1432088532
    assert verified.cosignatures == (Cosignature("remora.n621.de", 0x6A122120),)
    assert parse_note(PUBLIC_CHECKPOINT.encode()).encode() == PUBLIC_CHECKPOINT.encode()


def test_public_checkpoint_altered_does_not_verify() -> None:
    altered = PUBLIC_CHECKPOINT.replace("1432088532", "1432088533").encode()
    for witnesses in ([], [PUBLIC_WITNESS]):
        with pytest.raises(VerificationFailed):
            verify_checkpoint(altered, PUBLIC_LOG, witnesses)
    late = PUBLIC_CHECKPOINT.replace("2net5wAAAABqEiEg", "2net5wAAAABqEiEh").encode()
    with pytest.raises(VerificationFailed):
        verify_checkpoint(late, PUBLIC_LOG, [PUBLIC_WITNESS])


def test_example_of_the_checkpoint_specification_round_trips() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    checkpoint = parse_checkpoint(text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text() == text
    line = (
        "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0"
        "xUe+mbIUBkBIfZ+qnA==\n"
    )
    (parsed,) = parse_signature_lines(line)
    assert int.from_bytes(parsed.signature[:8], "big") == 1679315147  # the time that the specification states


@pytest.mark.parametrize(
    "text",
    [
        "log\n1\n",
        "log\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "log\n-1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "log\n٣\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "log\n999999999999999999999999\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "log\n0\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jx\n",
        "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
        "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n",
        "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n" + "x" * 5000 + "\n",
    ],
)
def test_malformed_checkpoints(text: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_checkpoint(text)


def test_extension_lines_are_kept_and_signed() -> None:
    text = Checkpoint("log.test", 0, EMPTY_ROOT, ("extra",)).text()
    note = signer(1).sign(text)
    assert verify_log_signature(note, signer(1).verifier).extensions == ("extra",)
    stripped = SignedNote(text.replace("extra\n", ""), note.signatures)
    with pytest.raises(VerificationFailed):
        verify_log_signature(stripped, signer(1).verifier)


def test_quorum_is_two_thirds_of_distinct_witnesses() -> None:
    log, witnesses = signer(9), [witness(i) for i in range(1, 5)]
    keys = [one.verifier for one in witnesses]
    note = sign_checkpoint(log, 1, b"r" * 32)
    assert LogKeys(log.verifier, tuple(keys)).threshold == 3
    two = cosigned(note, *witnesses[:2])
    with pytest.raises(VerificationFailed) as few:
        verify_checkpoint(two.encode(), log.verifier, keys)
    assert few.value.code == NO_QUORUM
    repeated = SignedNote(two.text, (*two.signatures, two.signatures[1], witnesses[0].cosign(two.text, 7)))
    with pytest.raises(VerificationFailed):
        verify_checkpoint(repeated.encode(), log.verifier, keys)
    three = verify_checkpoint(cosigned(note, *witnesses[:3]).encode(), log.verifier, keys)
    assert [one.witness for one in three.cosignatures] == ["node-1", "node-2", "node-3"]


def test_a_false_line_in_a_known_witness_name_spoils_the_note() -> None:
    log, one, two = signer(9), witness(1), witness(2)
    note = sign_checkpoint(log, 1, b"r" * 32)
    false = SignatureLine(two.name, two.verifier.key_id, one.cosign(note.text, 5).signature)
    spoiled = note.with_signatures([one.cosign(note.text, 5), false]).encode()
    with pytest.raises(VerificationFailed):
        verify_checkpoint(spoiled, log.verifier, [one.verifier, two.verifier], 1)
    verify_checkpoint(spoiled, log.verifier, [one.verifier], 1)  # to whom node-2 is unknown, the line says nothing


def test_a_log_signature_is_no_cosignature_and_the_reverse() -> None:
    log, one = signer(9), witness(9)
    note = sign_checkpoint(log, 1, b"r" * 32)
    as_cosignature = SignatureLine(one.name, one.verifier.key_id, bytes(8) + note.signatures[0].signature)
    with pytest.raises(VerificationFailed):
        verify_cosignature(note.text, as_cosignature, one.verifier)
    assert parse_vkey(one.verifier.vkey()).type is SignatureType.COSIGNATURE
    assert one.verifier.key_id != VerifierKey(one.name, one.verifier.key).key_id


@pytest.mark.parametrize("signature", [bytes(71), bytes(73), b"\xff" * 72])
def test_cosignatures_of_wrong_size_or_time_are_malformed(signature: bytes) -> None:
    one = witness(1)
    with pytest.raises(MalformedMessage):
        verify_cosignature("log\n", SignatureLine(one.name, one.verifier.key_id, signature), one.verifier)


def test_a_checkpoint_of_another_origin_or_unsigned_is_not_this_logs() -> None:
    log = signer(9)
    other = log.sign(Checkpoint("other.test", 1, b"r" * 32).text())
    unsigned = SignedNote(Checkpoint("log.test", 1, b"r" * 32).text(), signer(8).sign("x\n").signatures)
    for note in (other, unsigned):
        with pytest.raises(VerificationFailed) as error:
            verify_log_signature(note, log.verifier)
        assert error.value.code == NOT_SIGNED


def test_key_sets_that_could_count_one_party_twice_are_refused() -> None:
    log, one = signer(9), witness(1)
    twin = VerifierKey("twin", one.verifier.key, SignatureType.COSIGNATURE)
    shared = VerifierKey("log-as-witness", log.verifier.key, SignatureType.COSIGNATURE)
    for witnesses in ((one.verifier, twin), (one.verifier, one.verifier), (shared,)):
        with pytest.raises(ValueError, match="witness"):
            LogKeys(log.verifier, witnesses)
    with pytest.raises(ValueError, match="quorum"):
        LogKeys(log.verifier, (one.verifier,), 2)
    with pytest.raises(ValueError, match="cosignature type"):
        LogKeys(log.verifier, (log.verifier,))
    with pytest.raises(ValueError, match="log key"):
        LogKeys(one.verifier)


def test_secret_keys_stay_out_of_repr() -> None:
    for secret in (signer(7), witness(7)):
        assert "key" not in repr(secret)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "x" * 300])
def test_key_names_that_would_break_a_line_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        VerifierKey(name, bytes(32))


def test_our_own_misuse_raises_builtins() -> None:
    with pytest.raises(ValueError, match="newline"):
        signer(1).sign("no newline")
    with pytest.raises(ValueError, match="time"):
        witness(1).cosign("text\n", -1)
    with pytest.raises(ValueError, match="32 bytes"):
        VerifierKey("log", b"short")
    with pytest.raises(ValueError, match="root"):
        Checkpoint("log", 1, b"short")
    with pytest.raises(ValueError, match="line"):
        Checkpoint("two\nlines", 1, bytes(32))
    with pytest.raises(ValueError, match="empty tree"):
        Checkpoint("log", 0, bytes(32))
    with pytest.raises(ValueError, match="cosignature type"):
        verify_cosignature("text\n", SignatureLine("log", b"", b""), signer(1).verifier)
