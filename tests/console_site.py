"""A coordinator's log with everything the console shows, and a console over it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.audit import AuditLog, verify_directory, write_log_keys
from federation.audit.alarms import AlarmRules
from federation.audit.alarms.rules import Requery, SlowNode
from federation.audit.reading.log_view import LogView, StoredLog
from federation.console.health import Health, ListState, PartyState
from federation.console.sources import Look, Records, SealedBody, Sources
from protocols.transparency import (
    CosignatureSigner,
    Cosigned,
    Leaf,
    LeafKind,
    LogKeys,
    NoteSigner,
    Witness,
    attributes,
    subject_tag,
)

DAY_MS = 86_400_000
NOW = 1_781_000_000  # 2026-06-09T10:13:20Z
NODES = ("electricity", "housing_fund", "social", "tax")
SIGNER = NoteSigner("coordinator.test/log", Ed25519PrivateKey.from_private_bytes(b"L" * 32))
COSIGNERS = [
    CosignatureSigner(
        f"coordinator.test/witness/{name}", Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())
    )
    for name in ("bank", *NODES)
]
KEYS = LogKeys(SIGNER.verifier, tuple(one.verifier for one in COSIGNERS))
MODELS = {name: sha256(name.encode()).hexdigest() for name in ("first", "second")}
POLICY = sha256(b"policy").hexdigest()
HOSTS = ("127.0.0.1:8470",)
BASE = "http://127.0.0.1:8470"
Values = dict[str, str | int]


def reference(number: int) -> bytes:
    """The id of query `number`."""
    return sha256(f"query {number}".encode()).digest()[:16]


def leaf(kind: LeafKind, actor: str, at: int, values: Values, of: bytes = b"", subject: bytes = b"") -> Leaf:
    """One leaf, at `at` milliseconds before now."""
    return Leaf(
        kind=kind,
        timestamp_ms=NOW * 1000 - at,
        actor=actor,
        reference=of,
        purpose="assessment" if kind.value in ("REQUEST", "RELEASE", "DENY", "RESULT", "ACK") else "",
        subject=subject,
        attributes=attributes(values),
        evidence=sha256(f"{kind} {actor} {of.hex()}".encode()).digest(),
        body=b"sealed to the auditors" if kind is LeafKind.REQUEST else b"",
    )


def question(
    number: int, at: int, bank: str = "bank_a", model: str = "first", deny: str = "", many: int = 0, again: str = ""
) -> list[Leaf]:
    """All leaves of one question; `deny` is the code with which the tax office denies it."""
    tag = b"" if many else subject_tag(b"k" * 32, f"enterprise {number % 40}")
    of, values = reference(number), Values(bank=bank, nodes=len(NODES), model_hash=MODELS[model])
    values |= {"enterprises": many} if many else {}
    values |= {"objection": again} if again else {}
    leaves = [leaf(LeafKind.REQUEST, bank, at, values, of, tag)]
    for place, node in enumerate(NODES):
        denied = deny and node == "tax"
        done: Values = {"code": deny, "policy_hash": POLICY} if denied else {"policy_hash": POLICY}
        kind, after = (LeafKind.DENY if denied else LeafKind.RELEASE), 14 + 9 * place + number % 7
        leaves.append(leaf(kind, node, at - after, done, of, tag))
    if not deny:
        combined: Values = {"ciphertext_hash": sha256(of).hexdigest()}
        leaves.append(leaf(LeafKind.RESULT, "coordinator", at - 61, combined, of, tag))
    outcome = "DENIED" if deny else "ACCEPTED"
    return [*leaves, leaf(LeafKind.ACK, bank, at - 88, {"decision": outcome}, of, tag)]


def training(at: int) -> list[Leaf]:
    """A few steps of a training run."""
    run = sha256(b"run").digest()[:16]
    steps = ("EncryptedLabels", "BinHistograms", "WoeTables", "GramMatrix", "RowTotals", "SignedManifest")
    return [
        leaf(
            LeafKind.MANIFEST if step == "SignedManifest" else LeafKind.TRAIN_STEP,
            NODES[place % 4],
            at - 2000 * place,
            {"bank": "bank_a", "step": step, "leak_class": "aggregate", "bytes": 40_000 * (place + 1)},
            run,
        )
        for place, step in enumerate(steps)
    ]


def objection(number: int, at: int, node: str, code: str, decided: str = "") -> list[Leaf]:
    """An objection to a node's records, and its decision."""
    of = sha256(f"objection {number}".encode()).digest()[:16]
    values: Values = {"node": node, "code": code, "entry": reference(number).hex()}
    leaves = [leaf(LeafKind.OBJECTION, "enterprise-" + "ab12" * 8, at, values, of)]
    if decided:
        reason = {"CORRECTED": "RECORD_CORRECTED", "REJECTED": "RECORD_CONFIRMED"}[decided]
        leaves.append(leaf(LeafKind.DECISION, node, at - 6 * DAY_MS, {"decision": decided, "code": reason}, of))
    return leaves


def history() -> list[list[Leaf]]:
    """What the log holds, in the order of time, in the groups between which checkpoints are cosigned."""
    first = [leaf(LeafKind.KEY, node, 40 * DAY_MS, {"role": "data_node", "key_hash": "ab" * 32}) for node in NODES]
    first += [leaf(LeafKind.POLICY, node, 40 * DAY_MS - 5, {"policy_hash": POLICY}) for node in NODES]
    first += training(39 * DAY_MS)
    middle: list[Leaf] = []
    for number in range(60):
        at = 28 * DAY_MS - number * DAY_MS // 3
        denial = ("CONSENT_EXPIRED", "QUOTA")[number % 2] if number % 9 == 4 else ""
        bank, model = ("bank_b", "second") if number % 3 == 2 else ("bank_a", "first")
        middle += question(number, at, bank, model, denial, many=250 if number % 20 == 19 else 0)
    objected = [
        *objection(1, 26 * DAY_MS, "tax", "RECORD_WRONG", "CORRECTED"),
        *objection(2, 25 * DAY_MS, "social", "RECORD_NOT_MINE"),
        *objection(3, 16 * DAY_MS, "electricity", "RECORD_OUTDATED", "REJECTED"),
        *objection(4, 5 * DAY_MS, "tax", "EVENT_REPAIRED"),
    ]
    last = question(90, DAY_MS, again=sha256(b"objection 1").digest()[:16].hex())
    last += question(91, DAY_MS // 2)[:-1]  # the bank has not acknowledged
    return [first, middle[:200], middle[200:] + objected, last]


def make_site(folder: Path, groups: list[list[Leaf]] | None = None, witnessed: int | None = None) -> Path:
    """Write a log of these groups; after each of the first `witnessed` ones, the witnesses cosign it."""
    coordinator = folder / "coordinator"
    coordinator.mkdir(parents=True)
    write_log_keys(coordinator, KEYS)
    parts = history() if groups is None else groups
    witnesses = [Witness(one, SIGNER.verifier) for one in COSIGNERS]
    with AuditLog(coordinator / "log.sqlite", SIGNER, KEYS.witnesses) as log:
        for number, part in enumerate(parts):
            log.append(part)
            if number < (len(parts) - 1 if witnessed is None else witnessed):
                when = part[-1].timestamp_ms // 1000 + 3
                cosign(log, witnesses[: 5 if number else 4], when)
    return folder


def cosign(log: AuditLog, witnesses: list[Witness], when: int) -> None:
    """Have these witnesses cosign the log as it is."""
    for witness in witnesses:
        answer = witness.receive(log.witness_request(witness.size), when)
        assert isinstance(answer, Cosigned)
        log.record_cosignatures(answer.state.checkpoint.size, answer.line.encode().encode())


class Book:
    """A look book that tests read, or that fails."""

    logged = True

    def __init__(self) -> None:
        self.looks: list[Look] = []
        self.error: Exception | None = None

    def record(self, look: Look) -> None:
        """Keep the look, or fail."""
        if self.error is not None:
            raise self.error
        self.looks.append(look)

    def open_body(self, look: Look) -> SealedBody:
        """Keep the look; what is handed out opens with no key."""
        self.record(look)
        return SealedBody(len(self.looks), b"")


RULES = AlarmRules(requery=Requery(queries=3), slow_node=SlowNode(seconds=1, share=0.01, answers=1))


def sources(folder: Path, book: Book | None = None, live: bool = True) -> Sources:
    """What a console over this folder reads."""

    @contextmanager
    def open_log() -> Iterator[LogView]:
        with closing(StoredLog(folder)) as log:
            yield log

    @contextmanager
    def records() -> Iterator[Records]:
        yield {}

    return Sources(
        name=SIGNER.name,
        home=folder / "console",
        open_log=open_log,
        judge=lambda: verify_directory(folder),
        records=records,
        rules=lambda: RULES,
        looks=book or Book(),
        health=lambda: HEALTH,
        signers=lambda party: (),
        live=live,
    )


HEALTH = Health(
    answering=True,
    software="0.1.0",
    parties=(
        PartyState("bank_a", "bank", True, "0.1.0", NOW + 20 * 86_400),
        PartyState("electricity", "data_node", True, "0.1.0", NOW + 3 * 86_400),
        PartyState("housing_fund", "data_node", False, "0.0.9", NOW - 3600),
        PartyState("social", "data_node", False),
        PartyState("tax", "data_node", True, "0.1.0", NOW + 25 * 86_400),
    ),
    relay_until=NOW + 26 * 86_400,
    authority_until=NOW + 3000 * 86_400,
    revocations=ListState("consent_service", 812, NOW - 20, NOW + 40, 3),
)
