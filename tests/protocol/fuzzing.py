"""Hypothesis strategies for any message class, read off its declared fields; honest bytes, damaged."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Final

import msgspec
from hypothesis import settings
from hypothesis import strategies as st

import protocols
from protocols.assessment import manifest as manifest_module
from protocols.assessment import messages as assessment_messages
from protocols.channel import envelope, identity
from protocols.channel.wire import Message
from protocols.enterprise import messages as enterprise_messages
from protocols.scorecard import messages as scorecard_messages

_MODULES = (assessment_messages, enterprise_messages, scorecard_messages, manifest_module, envelope, identity)
MESSAGES: tuple[type[Message], ...] = tuple(
    sorted(
        {
            kind
            for module in _MODULES
            for kind in vars(module).values()
            if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message
        },
        key=lambda kind: kind.__name__,
    )
)


def every_message() -> tuple[type[Message], ...]:
    """Every class of message that there is, wherever it is declared."""
    for module in pkgutil.walk_packages(protocols.__path__, "protocols."):
        importlib.import_module(module.name)
    found, kinds = set[type[Message]](), [Message]
    while kinds:
        below = kinds.pop().__subclasses__()
        found.update(below)
        kinds += below
    ours = (kind for kind in found if kind.__module__.startswith("protocols."))
    return tuple(sorted(ours, key=lambda kind: (kind.__name__, kind.__module__)))


_SEARCHED: Final = 400


def examples(steady: int) -> settings:
    """So many examples, always the same ones; very many new ones with `--hypothesis-profile search`."""
    return settings(max_examples=_SEARCHED if settings.get_current_profile_name() == "search" else steady)


NAMES = ("bank", "coordinator", "electricity", "fund", "social", "tax", "_everyone", "a")
EDGES = (
    0,
    1,
    2,
    8,
    9,
    15,
    63,
    64,
    255,
    600,
    900,
    1 << 20,
    (1 << 24) - 1,
    (1 << 32) - 1,
    1 << 40,
    1 << 62,
    (1 << 64) - 1,
)


def message_of(kind: type[Message]) -> st.SearchStrategy[Message]:
    """Any value that encodes and decodes as a `kind`, small ones and limits first."""
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    fields = st.fixed_dictionaries({field.name: _value(field.type) for field in info.fields})
    return fields.map(lambda values: _built(kind, values)).filter(lambda message: message is not None)


def _built(kind: type[Message], values: dict[str, object]) -> Message | None:
    """Return the message, None where its own check refuses what its fields allow one by one."""
    try:
        return kind(**values)
    except ValueError:
        return None


def any_message() -> st.SearchStrategy[Message]:
    """Any message of any class."""
    return st.sampled_from(MESSAGES).flatmap(message_of)


def damaged(data: bytes) -> st.SearchStrategy[bytes]:
    """Some bytes with a piece replaced, dropped or doubled."""
    place = st.integers(0, len(data))
    return st.builds(lambda i, j, piece: data[:i] + piece + data[j:], place, place, st.binary(max_size=12))


def _value(kind: msgspec.inspect.Type) -> st.SearchStrategy[object]:
    inspect = msgspec.inspect
    match kind:
        case inspect.IntType():
            low = kind.ge if kind.ge is not None else (kind.gt + 1 if kind.gt is not None else -(1 << 63))
            high = kind.le if kind.le is not None else (kind.lt - 1 if kind.lt is not None else (1 << 64) - 1)
            edges = [edge for edge in (*EDGES, low, high) if low <= edge <= high]
            return st.sampled_from(edges) | st.integers(low, high)
        case inspect.StrType():
            if kind.pattern:
                return st.sampled_from([name for name in (*NAMES, "CODE", "") if re.search(kind.pattern, name)])
            return st.text(min_size=kind.min_length or 0, max_size=min(kind.max_length or 40, 80))
        case inspect.BytesType():
            return st.binary(min_size=kind.min_length or 0, max_size=kind.max_length or 400)
        case inspect.VarTupleType():
            most = 4 if kind.max_length is None else min(4, kind.max_length)
            return st.lists(_value(kind.item_type), min_size=kind.min_length or 0, max_size=most).map(tuple)
        case inspect.TupleType():
            return st.tuples(*map(_value, kind.item_types))
        case inspect.UnionType():
            return st.one_of(*map(_value, kind.types))
        case inspect.StructType():
            return message_of(kind.cls)
        case inspect.EnumType():
            return st.sampled_from(list(kind.cls))
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
    raise TypeError(f"no strategy for {kind}")
