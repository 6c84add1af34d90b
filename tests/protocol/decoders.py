"""Every decoder of bytes or text from a peer, found by what its docstring promises, and how each is called with any.

A public function is a decoder if its docstring says that it raises MalformedMessage, or, where tokens, keys and streams
are read, any error of the federation's tree, and it takes bytes or text. One that is neither fuzzed here nor excused
with a reason is a failure of `test_decoders`: a new decoder cannot be forgotten.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Final

import federation
import nodes
import protocols

STRICT: Final = tuple(f"protocols.{name}" for name in ("consent", "enrolment", "enterprise", "paillier", "stream"))
"""Where every documented error of the tree makes a decoder: what is read there came from outside."""

PROMISES: Final = re.compile("MalformedMessage|VerificationFailed|PolicyDenied|ConfigurationError")
_SKIPPED: Final = re.compile(r"\.(bundle|bench|cli|__main__)|_bench\b|frame_pb2")
_TEXTS: Final = frozenset({"bytes", "str"})


@dataclass(frozen=True)
class Decoder:
    """What reads `honest` without an error, and must meet any other bytes with an error of the tree alone."""

    read: Callable[[bytes], object]
    honest: bytes


def decoders() -> set[str]:
    """The names of all functions that are decoders, `module:qualname`."""
    return {name for package in (protocols, nodes, federation) for name in _of_package(package)}


def _of_package(package: ModuleType) -> Iterator[str]:
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not _SKIPPED.search(info.name):
            module = importlib.import_module(info.name)
            for found in _functions(module, module.__name__):
                if _is_decoder(found):
                    yield f"{found.__module__}:{found.__qualname__}"


def _functions(owner: object, module: str) -> Iterator[FunctionType]:
    """Yield the public functions that an object defines in this module, those of its classes too."""
    for name, value in vars(owner).items():
        inner = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if inspect.isclass(inner) and inner.__module__ == module and inspect.ismodule(owner):
            yield from _functions(inner, module)
        elif inspect.isfunction(inner) and inner.__module__ == module and not name.startswith("_"):
            yield inner


def _is_decoder(function: FunctionType) -> bool:
    raised = (function.__doc__ or "").partition("Raises:")[2]
    promised = "MalformedMessage" in raised
    if function.__module__.startswith(STRICT):
        promised = bool(PROMISES.search(raised))
    kinds = inspect.get_annotations(function)
    return promised and any(kind in _TEXTS for name, kind in kinds.items() if name != "return")
