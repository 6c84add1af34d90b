"""A leaf for people and programs: its fields spelled out, one sentence, and the row of an export."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from federation.audit.reading.log_view import LoggedLeaf
from protocols.transparency.leaves import LeafCommitment, LeafKind
from protocols.transparency.lines import encode_base64

CSV_COLUMNS: Final = (
    "index", "time", "kind", "actor", "reference", "purpose", "subject", "attributes", "evidence", "sentence"
)  # fmt: skip
_SHOWN: Final = 12


class LeafRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A leaf's fields. Units: `time` ISO 8601 UTC in milliseconds; hashes and ids hexadecimal."""

    index: int
    time: str
    kind: str
    actor: str
    reference: str
    purpose: str
    subject: str
    attributes: dict[str, str | int]
    evidence: str
    sentence: str


class ExportedLeaf(LeafRecord, frozen=True, kw_only=True):
    """A line of `leaves.jsonl`: the fields, and the bytes that the tree commits to, of which they are a reading."""

    leaf: str
    body: str


def describe(logged: LoggedLeaf) -> LeafRecord:
    """Return a leaf's fields. Raises: MalformedMessage."""
    leaf = logged.commitment()
    return LeafRecord(
        index=logged.index,
        time=utc(leaf.timestamp_ms),
        kind=leaf.kind.value,
        actor=leaf.actor,
        reference=leaf.reference.hex(),
        purpose=leaf.purpose,
        subject=leaf.subject.hex(),
        attributes=dict(leaf.attributes),
        evidence=leaf.evidence.hex(),
        sentence=sentence(leaf),
    )


def export_line(logged: LoggedLeaf) -> bytes:
    """Return the one line of `leaves.jsonl` that this leaf has. Raises: MalformedMessage."""
    fields = msgspec.structs.asdict(describe(logged))
    exported = ExportedLeaf(**fields, leaf=encode_base64(logged.data), body=encode_base64(logged.body))
    return msgspec.json.encode(exported) + b"\n"


def csv_line(logged: LoggedLeaf) -> bytes:
    """Return the one row of `leaves.csv` that this leaf has. Raises: MalformedMessage."""
    record = describe(logged)
    values = " ".join(f"{name}={value}" for name, value in record.attributes.items())
    fields = msgspec.structs.asdict(record) | {"attributes": values}
    return _csv([str(fields[column]) for column in CSV_COLUMNS])


def csv_header() -> bytes:
    """Return the first row of `leaves.csv`."""
    return _csv(list(CSV_COLUMNS))


def _csv(values: list[str]) -> bytes:
    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow(values)
    return row.getvalue().encode()


def utc(milliseconds: int) -> str:
    """Return a leaf's time as ISO 8601; beyond the calendar's end as plain milliseconds."""
    try:
        moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return f"{milliseconds} ms"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sentence(leaf: LeafCommitment) -> str:
    """Return in one sentence what happened; it says nothing that the fields do not."""
    return _SENTENCES[leaf.kind](leaf, dict(leaf.attributes))


Values = Mapping[str, str | int]


def _hash(values: Values, name: str) -> str:
    return str(values.get(name, "unknown"))[:_SHOWN]


def _request(leaf: LeafCommitment, values: Values) -> str:
    again = f", again after objection {_hash(values, 'objection')}" if "objection" in values else ""
    return (
        f"{leaf.actor} asked {values.get('nodes', '?')} nodes about one enterprise, "
        f"for {leaf.purpose or 'no purpose'}, with model {_hash(values, 'model_hash')}{again}"
    )


def _release(leaf: LeafCommitment, values: Values) -> str:
    return f"{leaf.actor} released its masked share under policy {_hash(values, 'policy_hash')}"


def _deny(leaf: LeafCommitment, values: Values) -> str:
    return f"{leaf.actor} denied, {values.get('code', 'no code')}, under policy {_hash(values, 'policy_hash')}"


def _result(leaf: LeafCommitment, values: Values) -> str:
    return f"{leaf.actor} combined all shares into {_hash(values, 'ciphertext_hash')} for the bank"


def _ack(leaf: LeafCommitment, values: Values) -> str:
    return f"{leaf.actor} closed the query: {values.get('decision', 'no decision')}"


def _train_step(leaf: LeafCommitment, values: Values) -> str:
    return (
        f"{leaf.actor} sent {values.get('step', 'a message')} of {values.get('bytes', '?')} bytes in a training run of "
        f"{values.get('bank', 'a bank')}; it reveals {values.get('leak_class', 'unknown')}"
    )


def _key(leaf: LeafCommitment, values: Values) -> str:
    step = f" ({values['step']})" if "step" in values else ""
    return f"the key of {leaf.actor} as {values.get('role', 'a party')} is {_hash(values, 'key_hash')}{step}"


def _policy(leaf: LeafCommitment, values: Values) -> str:
    return f"{leaf.actor} works under policy {_hash(values, 'policy_hash')}"


def _manifest(leaf: LeafCommitment, values: Values) -> str:
    return f"{leaf.actor} passed on {values.get('step', 'a manifest')} of a model of {values.get('bank', 'a bank')}"


def _consent(leaf: LeafCommitment, values: Values) -> str:
    until = utc(int(values["valid_until_ms"])) if "valid_until_ms" in values else "an unknown time"
    return (
        f"{leaf.actor} showed consent {_hash(values, 'consent_hash')} of {values.get('issuer', 'an issuer')} "
        f"for the first time, for {leaf.purpose or 'no purpose'}; it holds until {until}"
    )


def _revoke(leaf: LeafCommitment, values: Values) -> str:
    return (
        f"{leaf.actor} was told by {values.get('issuer', 'an issuer')} that consent {_hash(values, 'consent_hash')} "
        "is withdrawn"
    )


def _view(leaf: LeafCommitment, values: Values) -> str:
    return f"{leaf.actor} looked at {values.get('entries', 'some')} entries of the log"


def _objection(leaf: LeafCommitment, values: Values) -> str:
    about = f" of query {_hash(values, 'entry')}" if "entry" in values else ""
    return f"{leaf.actor} objected to records of {values.get('node', 'a node')}{about}: {values.get('code', 'no code')}"


def _decision(leaf: LeafCommitment, values: Values) -> str:
    decided = str(values.get("decision", "no decision"))
    return f"{leaf.actor} decided an objection: {decided}, {values.get('code', 'no code')}"


def _shred(leaf: LeafCommitment, values: Values) -> str:
    what = f"all years before {values['before_year']}" if "before_year" in values else "one enterprise's tag"
    return f"{leaf.actor} destroyed the keys to the bodies of {what}, for good"


_SENTENCES: Final[Mapping[LeafKind, Callable[[LeafCommitment, Values], str]]] = {
    LeafKind.REQUEST: _request,
    LeafKind.RELEASE: _release,
    LeafKind.DENY: _deny,
    LeafKind.RESULT: _result,
    LeafKind.ACK: _ack,
    LeafKind.TRAIN_STEP: _train_step,
    LeafKind.CONSENT: _consent,
    LeafKind.REVOKE: _revoke,
    LeafKind.KEY: _key,
    LeafKind.POLICY: _policy,
    LeafKind.MANIFEST: _manifest,
    LeafKind.AUDIT_VIEW: _view,
    LeafKind.SHRED: _shred,
    LeafKind.OBJECTION: _objection,
    LeafKind.DECISION: _decision,
}
