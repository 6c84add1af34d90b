"""The transparency log's pure part: a history that can be proved complete and unaltered to whoever holds public keys.

hashing, prover, verifier     the RFC 9162 Merkle tree, proofs made and checked by independent code
notes, checkpoints            C2SP signed notes, tree heads, witness cosignatures
witness, messages             who cosigns, when, and the proof of a split view; how it is asked
leaves, log_proofs            what is logged, receipts, and the offline proof that it was
"""

from protocols.transparency.checkpoints import (
    Checkpoint,
    Cosignature,
    CosignatureSigner,
    LogKeys,
    VerifiedCheckpoint,
    verify_checkpoint,
)
from protocols.transparency.leaves import (
    ATTRIBUTES,
    Leaf,
    LeafCommitment,
    LeafKind,
    attributes,
    decode_commitment,
    decode_leaf,
    encode_leaf,
    subject_tag,
)
from protocols.transparency.log_proofs import LogProof, Receipt, parse_log_proof
from protocols.transparency.messages import CheckpointCosignature, CheckpointOffer, CheckpointRefusal, SplitViewProof
from protocols.transparency.notes import NoteSigner, SignatureType, VerifierKey, parse_vkey
from protocols.transparency.verifier import verify_consistency, verify_inclusion
from protocols.transparency.witness import (
    AddCheckpoint,
    Cosigned,
    SplitView,
    Witness,
    WitnessState,
    compare_checkpoints,
    parse_add_checkpoint,
    verify_split_view,
)

__all__ = [
    "ATTRIBUTES",
    "AddCheckpoint",
    "Checkpoint",
    "CheckpointCosignature",
    "CheckpointOffer",
    "CheckpointRefusal",
    "Cosignature",
    "CosignatureSigner",
    "Cosigned",
    "Leaf",
    "LeafCommitment",
    "LeafKind",
    "LogKeys",
    "LogProof",
    "NoteSigner",
    "Receipt",
    "SignatureType",
    "SplitView",
    "SplitViewProof",
    "VerifiedCheckpoint",
    "VerifierKey",
    "Witness",
    "WitnessState",
    "attributes",
    "compare_checkpoints",
    "decode_commitment",
    "decode_leaf",
    "encode_leaf",
    "parse_add_checkpoint",
    "parse_log_proof",
    "parse_vkey",
    "subject_tag",
    "verify_checkpoint",
    "verify_consistency",
    "verify_inclusion",
    "verify_split_view",
]
