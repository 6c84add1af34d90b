"""The bank's API does what its OpenAPI document says, whatever is sent: schemathesis looks for where it does not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis import Case

from nodes.bank.api.app import openapi_document
from tests.bank_api import RunningApi, served
from tests.conftest import TrainedFederation
from tests.small_federation import codes

pytestmark = pytest.mark.slow

schemathesis.openapi.format("enterprise", st.sampled_from(codes(50)))
schemathesis.openapi.format("webhook", st.just("http://127.0.0.1:9/"))


@pytest.fixture(scope="module")
def api(trained: TrainedFederation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    folder = tmp_path_factory.mktemp("contract") / "federation"
    shutil.copytree(trained.folder, folder)
    with served(folder) as running:
        yield running


config = schemathesis.Config.from_dict({"generation": {"mode": "all", "with-security-parameters": False}})
schema = schemathesis.openapi.from_dict(openapi_document(), config=config)


@schema.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_resource_keeps_its_contract(case: Case, api: RunningApi) -> None:
    with api.client() as client:
        case.call_and_validate(base_url=api.address, headers={"Authorization": client.headers["authorization"]})
