"""The bank's model as a file: what it needs to read an answer, and what an auditor of the model needs to see.

JSON, signed by the bank. It holds the bank's own part, the nodes' bins and points as the bank computed them, how the
model was trained, and how it did on the test rows; it holds no enterprise, and no value or score of one. The signature
covers the values, in their canonical encoding: a file that was formatted anew still verifies, one that says anything
else does not.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from nodes.bank.model.quality import ModelQuality
from nodes.binning import FineBinning
from nodes.keystore import replace_file
from protocols.assessment.manifest import SignedManifest
from protocols.boosting.trees import Tree
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, verify_any
from protocols.channel.wire import decode
from protocols.credit.logistic import Calibration
from protocols.errors import ConfigurationError, MalformedMessage, VerificationFailed

FORMAT: Final = "credit-federation-model/4"
SCORECARD: Final = "scorecard"
BOOSTING: Final = "boosting"
TAMPERED: Final = "MODEL_TAMPERED"
UNREADABLE: Final = "MODEL_UNREADABLE"
_CONTEXT: Final = b"credit-federation/model-file/v4\0"
_canonical = msgspec.msgpack.Encoder(order="deterministic")

Share = Annotated[float, Meta(ge=0, le=1)]


class ModelBin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a feature: its share of the training rows, how many of it defaulted, and what it scores."""

    share: Share
    bad_rate: Share
    woe: float
    points: int
    missing: bool


class ModelFeature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One feature of the scorecard, in coarse bins.

    Units: points in tenths of a score point; `coefficient` in log-odds of good per unit of WOE, null if not selected;
    `missing_share` of the training rows, 0 also where fewer than k were missing.
    """

    party: str
    domain: str
    name: str
    iv: float
    selected: bool
    reason: str
    coefficient: float | None
    missing_share: Share
    bins: tuple[ModelBin, ...]


class ModelTree(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tree of a boosted model, over its party's fine bins. Units: points of each leaf, tenths of a score point."""

    party: str
    tree: Tree
    points: tuple[int, ...]
    theme: int


class DomainCoverage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What share of the training rows a domain could not describe, by its best and by its average feature."""

    domain: str
    features: int
    selected: int
    missing_least: Share
    missing_mean: Share


class RunFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the bank is told of its run: rounds and leaks by class; the name and the outcome column of its data, or "".

    The rest it knows itself: `as_of` is the date of its own data, `dates` what each data node says of the records that
    it trained on, both "" where nothing is said; `policies` the hash, in hex, of each node's policy. `dates` is not set
    in a file from before nodes said them, which thus stays as it was signed.
    """

    dataset: str = ""
    as_of: str = ""
    rounds: int = 0
    leaks: dict[str, int] = {}
    label: str = ""
    policies: dict[str, str] = {}
    dates: dict[str, str] | msgspec.UnsetType = msgspec.UNSET

    @property
    def said_dates(self) -> dict[str, str]:
        """Return `dates`, none of a file that does not say them."""
        return {} if isinstance(self.dates, msgspec.UnsetType) else self.dates


class TrainingFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the model was trained. Units: `created` in seconds since 1970 UTC; `seed` null if the split had none."""

    created: int
    rows_train: int
    rows_test: int
    bad_train: int
    bad_test: int
    seed: int | None
    key_bits: int
    minimum_bin: int
    fine_bins: int
    row_totals: int
    run: RunFacts


class ConsortiumFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With whom the bank trained: `signatures` of all banks, base64, on the one `model` of the `run` (both hex).

    `rows_train` and `rows_test` count the rows of all banks; a model's bins and coefficients describe all of them, its
    `training` facts and `quality` the bank's own.
    """

    model: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    run: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    rows_train: int
    rows_test: int
    signatures: dict[str, str]

    def agreements(self) -> dict[PartyId, bytes]:
        """Return each bank's signature on the model. Raises: MalformedMessage."""
        try:
            return {PartyId(bank): base64.b64decode(text, validate=True) for bank, text in self.signatures.items()}
        except ValueError as error:
            raise MalformedMessage("a bank's signature in the model file is not base64") from error


class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trained model at its bank. `manifest` is the signed manifest, base64 of its canonical bytes.

    Units: ln(odds of good) = `intercept` + `slope` · total; `constant` is ln(odds) where every WOE is 0, null for a
    model without coefficients. `own_points` are those of the bank's own features, or of its own `trees`. `signature` is
    the bank's, base64; empty until it has signed. `consortium` is set if several banks trained the model together.
    """

    format: str
    family: str
    bank: str
    model: str
    manifest: str
    intercept: float
    slope: float
    constant: float | None
    own_points: tuple[tuple[int, ...], ...]
    own_binnings: tuple[FineBinning, ...]
    features: tuple[ModelFeature, ...]
    coverage: tuple[DomainCoverage, ...]
    training: TrainingFacts
    quality: ModelQuality
    trees: tuple[ModelTree, ...] = ()
    consortium: ConsortiumFacts | None = None
    signature: str = ""

    def own_trees(self) -> list[Tree]:
        """Return the bank's own trees, in the order of `own_points`."""
        return [entry.tree for entry in self.trees if entry.party == self.bank]

    def signed_manifest(self) -> SignedManifest:
        """Return the manifest with all nodes' signatures. Raises: MalformedMessage."""
        try:
            return decode(base64.b64decode(self.manifest, validate=True), SignedManifest)
        except ValueError as error:
            raise MalformedMessage("the model file's manifest is not base64") from error

    @property
    def calibration(self) -> Calibration:
        """Return how a total becomes log-odds."""
        return Calibration(self.intercept, self.slope)

    def unsigned(self) -> bytes:
        """Return the bytes that the bank's signature covers."""
        return _CONTEXT + _canonical.encode(msgspec.structs.replace(self, signature=""))


def sign_model_file(model: ModelFile, keys: PartyKeys) -> ModelFile:
    """Return the model as it will be read back, with its bank's signature. Raises: ValueError for another bank's."""
    if keys.party != model.bank:
        raise ValueError(f"{keys.party} cannot sign a model of {model.bank}")
    stored = msgspec.json.decode(msgspec.json.encode(model), type=ModelFile)
    signature = keys.signing.sign(stored.unsigned())
    return msgspec.structs.replace(stored, signature=base64.b64encode(signature).decode())


def verify_model_file(model: ModelFile, bank_card: PartyCard, earlier: Sequence[PartyCard] = ()) -> None:
    """Return if the bank of this card has signed exactly this model, and it names its own manifest.

    `earlier` are cards that the bank has replaced since.

    Raises: VerificationFailed, code MODEL_TAMPERED.
    """
    if model.format != FORMAT or model.bank != bank_card.party or bank_card.role is not PartyRole.BANK:
        raise VerificationFailed(f"the model file is not a {FORMAT} of {bank_card.party}", code=TAMPERED)
    try:
        verify_any((*earlier, bank_card), model.unsigned(), base64.b64decode(model.signature, validate=True))
        manifest = model.signed_manifest().manifest
    except (VerificationFailed, MalformedMessage, ValueError) as error:
        raise VerificationFailed(
            f"the model file is not what {bank_card.party} has signed: it was altered, or is another bank's",
            code=TAMPERED,
        ) from error
    if manifest.model_hash().hex() != model.model or manifest.bank != model.bank:
        raise VerificationFailed("the model file names another manifest than its own", code=TAMPERED)


def write_model_file(path: Path, model: ModelFile) -> None:
    """Put a signed model, whole, in the place of an earlier one. Raises: OSError; ValueError if it is not signed."""
    if not model.signature:
        raise ValueError("a model file is signed before it is written")
    replace_file(path, msgspec.json.format(msgspec.json.encode(model)) + b"\n", 0o644)


def read_model_file(path: Path, bank_card: PartyCard, earlier: Sequence[PartyCard] = ()) -> ModelFile:
    """Return the model that the bank of this card has signed, or did under an `earlier` one.

    Raises: ConfigurationError, code NO_MODEL, if there is none; VerificationFailed, code MODEL_UNREADABLE or
    MODEL_TAMPERED, if it is not as the bank wrote it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: no trained model; run `credfed train`", code="NO_MODEL") from error
    try:
        model = msgspec.json.decode(data, type=ModelFile)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise VerificationFailed(
            f"{path}: not a model file of this version; if it was not altered, train again", code=UNREADABLE
        ) from error
    verify_model_file(model, bank_card, earlier)
    return model
