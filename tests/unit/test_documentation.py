"""What the documentation names is there: every command with its options, every file that a link leads to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from federation.cli.main import CREDFED
from federation.cli.menu import Menu

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("[a-z]*/README.md")])
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def listed(group: Menu | click.Group) -> dict[str, Menu | click.Command]:
    """Return the commands of a group by name."""
    if isinstance(group, click.Group):
        return dict(group.commands)
    found = (entry for entries in group.panels.values() for entry in entries)
    return {entry.name: entry if isinstance(entry, Menu) else entry.load() for entry in found}


COMMANDS = {name: one if isinstance(one, click.Command) else listed(one) for name, one in listed(CREDFED).items()}


def named(text: str) -> Iterator[list[str]]:
    """Yield the words of every `credfed …` in a text, without what a shell would not hand on."""
    for words in re.findall(r"(?<![\w./])credfed ((?:(?!credfed )[^`\n#;]|\\\n)+)", text):
        yield [word.strip(".,:)('") for word in words.replace("\\\n", " ").split()]


def unknown(words: list[str]) -> list[str]:
    """Return what of a command line is not there: a command, or options of one that is."""
    known: object = COMMANDS
    for word in words:
        below = known.commands if isinstance(known, click.Group) else known
        if not isinstance(below, dict):
            break
        if not re.fullmatch(r"[a-z|-]+", word) or word.startswith("-"):
            return []  # the group as such: `credfed node …`
        if missing := [name for name in word.split("|") if name not in below]:
            return missing
        if "|" in word:
            return []
        known = below[word]
    if not isinstance(known, click.Command) or isinstance(known, click.Group):
        return []
    options = {name for parameter in known.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return sorted(set(OPTION.findall(" ".join(words))) - options - {"--help"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_names_is_there_with_its_options(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert {" ".join(words): found for words in named(text) if (found := unknown(words))} == {}


def anchors(page: Path) -> set[str]:
    """Return what links into a page may lead to."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    broken = []
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text(encoding="utf-8")):
        if not re.match(r"https?:|mailto:", target):
            place = page.parent / target if target else page
            if not place.exists() or (anchor and anchor not in anchors(place)):
                broken.append(f"{target}#{anchor}")
    assert broken == []


def test_what_is_not_there_is_found() -> None:
    assert unknown(["node", "runn"]) == ["runn"]
    assert unknown(["audit", "verify", "DIR", "--kees", "FILE"]) == ["--kees"]
    assert unknown(["party", "list|approved", "DIR"]) == ["approved"]
    assert unknown(["audit", "verify", "DIR", "--keys", "FILE"]) == unknown(["node", "…"]) == []
