"""A trained federation with an auditor who can open what stands in the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.local.federation import LocalFederation
from nodes.keystore import create_party
from protocols.channel.identity import PartyRole
from protocols.channel.wire import encode
from tests.small_federation import CHEN, NOW


@pytest.fixture
def folder(federation_folder: Path) -> Path:
    """The trained federation with an auditor."""
    card = create_party(federation_folder / CHEN, CHEN, PartyRole.AUDITOR, None)
    (federation_folder / "cards" / "chen.card").write_bytes(encode(card))
    return federation_folder


@pytest.fixture
def federation(folder: Path) -> Iterator[LocalFederation]:
    """All of its parties, alive."""
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        yield federation
