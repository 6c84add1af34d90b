"""Where the API may listen, and how it ends together with the bank's service."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from pathlib import Path

import pytest

from nodes.bank.api.serving import ApiAddress, configured, serve_api, serve_together
from nodes.bank.settings import ApiOptions
from protocols.errors import ConfigurationError
from tests.bank_api import RunningApi


@pytest.mark.parametrize(
    "address",
    [
        ApiAddress("0.0.0.0", 8440),  # noqa: S104  refused
        ApiAddress("::", 8440),
        ApiAddress("bank.example", 8440),
        ApiAddress("127.0.0.1", 8440, certificate=Path("certificate.pem")),
    ],
)
def test_keys_do_not_travel_in_clear_beyond_this_machine(address: ApiAddress) -> None:
    with pytest.raises(ConfigurationError):
        address.check()


def test_a_configuration_says_where_and_how(tmp_path: Path) -> None:
    (tmp_path / "objections.txt").write_text("二楼 3 号窗口\n", encoding="utf-8")
    options = ApiOptions(listen="[::1]:8440", webhook_hosts=("loans.bank.example",), objections="objections.txt")
    address, settings = configured(tmp_path, "bank", options)
    assert address.url == "http://[::1]:8440"
    assert (settings.objections, settings.webhook_hosts) == ("二楼 3 号窗口", {"loans.bank.example"})
    assert not settings.loopback_webhooks


@pytest.mark.parametrize("listen", ["8440", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:http"])
def test_a_wrong_address_is_said_so(tmp_path: Path, listen: str) -> None:
    with pytest.raises(ConfigurationError, match=listen):
        configured(tmp_path, "bank", ApiOptions(listen=listen))


def test_an_address_in_use_and_a_wrong_certificate_are_said_so(api: RunningApi, tmp_path: Path) -> None:
    service, settings = api.bank.service, api.bank.settings
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=str(port)):
            asyncio.run(serve_api(tmp_path, ApiAddress("127.0.0.1", port), service, settings))
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="certificate"):
        asyncio.run(serve_api(tmp_path, ApiAddress("127.0.0.1", port, wrong, wrong), service, settings))


def test_the_api_ends_before_the_service_it_needs() -> None:
    ended = []

    async def run(name: str) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    async def cancelled() -> None:
        both = asyncio.create_task(serve_together(run("service"), run("api")))
        await asyncio.sleep(0.01)
        both.cancel()
        await asyncio.gather(both, return_exceptions=True)

    asyncio.run(cancelled())
    assert ended == ["api", "service"]


def test_what_ends_the_service_ends_the_api_and_is_told() -> None:
    async def failing() -> None:
        raise ConfigurationError("the certificate is missing", code="BAD_SETTINGS")

    with pytest.raises(ConfigurationError):
        asyncio.run(serve_together(failing(), asyncio.sleep(3600)))
