"""One Chromium for all tests of a process; without one they are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.browser.chromium import Browser, BrowserError, chromium, find_chromium


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip("there is no Chromium on this machine")
    with ExitStack() as opened:
        try:
            started = opened.enter_context(chromium(path, tmp_path_factory.mktemp("profile")))
        except (BrowserError, OSError) as error:
            pytest.skip(f"Chromium does not start on this machine: {error}")
        yield started
