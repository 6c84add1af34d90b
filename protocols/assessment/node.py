"""The data node's role in one assessment: evaluate its own part, mask it, encrypt it for the bank."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from protocols.assessment.batch.messages import BatchQuery, BatchShares
from protocols.assessment.batch.packing import pack_answers
from protocols.assessment.evaluation import Evaluation, plain_shares
from protocols.assessment.layout import layout_bits
from protocols.assessment.manifest import Manifest
from protocols.assessment.messages import Query, ScoreShare
from protocols.channel.identity import PartyCard, PartyId, PartyKeys
from protocols.consent import QUESTIONS, cohort_subject
from protocols.errors import PolicyDenied, VerificationFailed
from protocols.masks import zero_sum_masks
from protocols.paillier import CiphertextVector, PublicKey
from protocols.scorecard.messages import FeaturePoints

Encrypt = Callable[[Sequence[int]], CiphertextVector]
"""Encrypts integers in [0, n) under the bank's key, each afresh."""


def check_query(query: Query | BatchQuery, manifest: Manifest, now: int, clock_skew: int = 60) -> None:
    """Return if the query is for this model, its whole node set, and this time. Units: seconds.

    Raises: VerificationFailed with codes WRONG_NODE_SET, WRONG_MODEL, QUERY_EXPIRED; PolicyDenied PURPOSE_DENIED.
    """
    if query.model != manifest.model_hash() or query.bank != manifest.bank:
        raise VerificationFailed("the query is for another model or of another bank", code="WRONG_MODEL")
    if query.nodes != tuple(entry.party for entry in manifest.nodes):
        raise VerificationFailed("the query names another node set than the manifest", code="WRONG_NODE_SET")
    if query.purpose not in QUESTIONS or manifest.purpose not in QUESTIONS:
        raise PolicyDenied("the model does not serve this purpose", code="PURPOSE_DENIED")
    if not query.issued - clock_skew <= now < query.expires + clock_skew or query.expires - query.issued > 3600:
        raise VerificationFailed("the query does not hold at this time", code="QUERY_EXPIRED")


def check_part(manifest: Manifest, part: Sequence[FeaturePoints], bank_key: PublicKey) -> None:
    """Return if every answer from `part` can be laid out as the manifest says. Raises: VerificationFailed."""
    highest = sum(max(feature.points) for feature in part)
    if not highest <= manifest.maximum_total < 1 << manifest.total_bits:
        raise VerificationFailed("the part's totals exceed the range that the manifest states")
    if any(feature.theme >= len(manifest.themes) for feature in part):
        raise VerificationFailed("the part names a theme that the manifest does not")
    if layout_bits(manifest) >= bank_key.bits:
        raise VerificationFailed(f"an answer of {layout_bits(manifest)} bits does not fit the bank's key")


def share_of(
    query: Query,
    manifest: Manifest,
    part: Sequence[FeaturePoints],
    evaluation: Evaluation,
    keys: PartyKeys,
    cards: Mapping[PartyId, PartyCard],
    bank_key: PublicKey,
    policy: bytes,
    encrypt: Encrypt,
) -> ScoreShare:
    """Return this node's masked, encrypted share of the answer.

    `encrypt` may use short exponents (Damgard-Jurik-Nielsen), although the share opens to the key's owner. The share
    is a *fresh* encryption: its obfuscator is drawn apart from the plaintext, so an owner that takes the plaintext off
    and solves for the exponent holds a random number that says nothing. And the plaintext is value + mask, uniform
    short of the whole node set, which it may decrypt anyway. It is otherwise with what a node computes from the
    owner's own ciphertexts: there the obfuscator left over is made of that computation, and is drowned in a full r^n.
    Reveals: nothing short of the sum over all nodes of the manifest, which opens to the bank alone.
    """
    (enterprise,) = evaluation.enterprises
    values = plain_shares(manifest, _position(manifest, keys), part, evaluation)
    told = query.transcript() + b"subject/" + enterprise.encode()
    masked = _masked(values, told, manifest, keys, cards, bank_key)
    return ScoreShare(encrypt(masked).to_bytes(), policy, evaluation.as_of)


def batch_shares_of(
    opening: bytes,
    manifest: Manifest,
    part: Sequence[FeaturePoints],
    evaluation: Evaluation,
    keys: PartyKeys,
    cards: Mapping[PartyId, PartyCard],
    bank_key: PublicKey,
    policy: bytes,
    encrypt: Encrypt,
) -> BatchShares:
    """Return this node's masked, encrypted shares of a batch's answers, packed; `opening` is the opening's binding.

    Reveals: nothing short of the sum over all nodes, and that only if all were given the same opening for the same
    enterprises in the same order.
    """
    values = plain_shares(manifest, _position(manifest, keys), part, evaluation)
    packed = pack_answers(values, manifest, bank_key.bits)
    told = opening + cohort_subject(evaluation.enterprises).encode()
    masked = _masked(packed, told, manifest, keys, cards, bank_key)
    return BatchShares(encrypt(masked).to_bytes(), policy, evaluation.as_of)


def _position(manifest: Manifest, keys: PartyKeys) -> int:
    return [entry.party for entry in manifest.nodes].index(keys.party)


def _masked(
    values: Sequence[int],
    told: bytes,
    manifest: Manifest,
    keys: PartyKeys,
    cards: Mapping[PartyId, PartyCard],
    bank_key: PublicKey,
) -> list[int]:
    """Return the values plus masks that cancel over the manifest's nodes, if all were told the same."""
    peers = {e.party: cards[PartyId(e.party)].mask_key for e in manifest.nodes if e.party != keys.party}
    masks = zero_sum_masks(keys.party, keys.mask, peers, told, len(values), bank_key.n)
    return [(value + mask) % bank_key.n for value, mask in zip(values, masks, strict=True)]
