"""An output folder appears whole or not at all, and what it replaces goes only once it is in place."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.cli.workspace import whole_folder
from federation.local.layout import FEDERATION_FILE
from protocols.errors import ConfigurationError


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def fill(folder: Path, text: str) -> None:
    (folder / FEDERATION_FILE).write_text(text)


def break_off(target: Path, error: type[BaseException]) -> None:
    """Fail half way through making a federation."""
    with whole_folder(target) as folder:
        fill(folder, "half")
        raise error


def test_a_folder_appears_at_the_end_with_its_parents(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "site"
    with whole_folder(target) as folder:
        assert not target.exists()
        assert folder.stat().st_mode & 0o077 == 0
        fill(folder, "new")
    assert names(tmp_path) == ["a", "a/b", "a/b/site", f"a/b/site/{FEDERATION_FILE}"]
    assert target.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_nothing_not_even_parents(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(error):
        break_off(tmp_path / "a" / "b" / "c" / "site", error)
    assert names(tmp_path) == ["a"]


def test_an_earlier_federation_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "site"
    target.mkdir()
    fill(target, "old")
    (target / "old file").write_text("")
    with whole_folder(target) as folder:
        fill(folder, "new")
        assert (target / FEDERATION_FILE).read_text() == "old"
    assert names(tmp_path) == ["site", f"site/{FEDERATION_FILE}"]
    assert (target / FEDERATION_FILE).read_text() == "new"


def test_an_error_leaves_the_earlier_federation(tmp_path: Path) -> None:
    target = tmp_path / "site"
    target.mkdir()
    fill(target, "old")
    with pytest.raises(ValueError):  # noqa: PT011 - our own
        break_off(target, ValueError)
    assert names(tmp_path) == ["site", f"site/{FEDERATION_FILE}"]
    assert (target / FEDERATION_FILE).read_text() == "old"


def test_an_empty_folder_and_a_link_to_a_federation_may_be_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for text in ("first", "second"):
        with whole_folder(tmp_path / "link") as folder:
            fill(folder, text)
    assert (tmp_path / "empty" / FEDERATION_FILE).read_text() == "second"
    assert names(tmp_path) == ["empty", f"empty/{FEDERATION_FILE}", "link"]


@pytest.mark.parametrize("place", ["file", "folder"])
def test_anything_else_is_left_alone(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis").write_text("work")
    (tmp_path / "file").write_text("work")
    with pytest.raises(ConfigurationError) as refusal, whole_folder(tmp_path / place):
        pass
    assert refusal.value.code == "OUT_NOT_EMPTY"
    assert names(tmp_path) == ["file", "folder", "folder/thesis"]


@pytest.mark.parametrize("needed", ["site/data", "site", "link/data"])
def test_what_holds_the_data_is_not_replaced(tmp_path: Path, needed: str) -> None:
    (tmp_path / "site" / "data").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "site")
    fill(tmp_path / "site", "old")
    with pytest.raises(ConfigurationError) as refusal, whole_folder(tmp_path / "site", tmp_path / needed):
        pass
    assert refusal.value.code == "OUT_HOLDS_DATA"


def test_data_that_hold_the_target_may_be_read(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "data" / "site", tmp_path / "data") as folder:
        fill(folder, "new")
    assert (tmp_path / "data" / "site" / FEDERATION_FILE).exists()
