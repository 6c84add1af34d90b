"""An enterprise that a bank has asked about, alone and in a batch, and one that claims to be it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from federation.local.federation import LocalFederation
from protocols.channel.identity import PartyId
from protocols.errors import CreditFederationError
from tests.conftest import TrainedFederation
from tests.enterprise_client import AtEnterprise, Moving, identity_of
from tests.small_federation import NOW, codes

MINE, THEIRS = codes()[1], codes()[2]
TAX = PartyId("tax")
WORDS = "we paid on the day, see the bank's slip"


@pytest.fixture(scope="session")
def asked(trained: TrainedFederation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A federation in which a bank has asked about some enterprises, once each and in a batch."""
    folder = Path(shutil.copytree(trained.folder, tmp_path_factory.mktemp("asked") / "federation"))
    with LocalFederation(folder, clock=lambda: NOW + 1000) as federation:
        federation.assess(codes()[:3])
        federation.assess(codes()[:20])
    return folder


@pytest.fixture
def enterprise(asked: Path, tmp_path: Path) -> Iterator[AtEnterprise]:
    folder, clock = Path(shutil.copytree(asked, tmp_path / "federation")), Moving(NOW + 5000)
    with LocalFederation(folder, clock=clock) as federation:
        yield AtEnterprise(federation, identity_of(federation, MINE), clock)


def other(at: AtEnterprise, claims: str = THEIRS, token: str = "") -> AtEnterprise:
    """An attacker with a key and a credential of its own, who claims to be `claims`, perhaps with another's token."""
    own = identity_of(at.federation, THEIRS)
    return dataclasses.replace(at, identity=dataclasses.replace(own, enterprise=claims, token=token or own.token))


def refused(attempt: Callable[[], object]) -> str:
    with pytest.raises(CreditFederationError) as refusal:
        attempt()
    return refusal.value.code
