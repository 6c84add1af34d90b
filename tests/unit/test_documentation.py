"""What the documentation names is there: commands with their options, links, files, make targets, codes, settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from federation.cli.main import CREDFED
from federation.cli.menu import Menu
from federation.relay.settings import CoordinatorSettings
from nodes.bank.settings import BankSettings
from nodes.data_node.settings import NodeSettings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("[a-z]*/README.md")])
SOURCES = ("protocols", "nodes", "federation", "paper", "tests", "deploy", "docs")
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


FILES = [path for top in SOURCES for path in (ROOT / top).rglob("*") if "__pycache__" not in path.parts]
CODE = "\n".join(
    path.read_text(encoding="utf-8") for path in FILES if path.suffix == ".py" and ROOT / "tests" not in path.parents
)


def spans(page: Path) -> set[str]:
    """Return what a page sets in type of its own within a line."""
    return set(re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8")))


def spelt_out(path: str) -> list[str]:
    """Return the paths that one with alternatives in braces stands for."""
    found = re.fullmatch(r"([^{]*)\{([^}]*)\}(.*)", path)
    return [path] if found is None else [found[1] + one + found[3] for one in found[2].split(",")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_of_ours_that_a_page_names_is_there(page: Path) -> None:
    whole = [span for span in spans(page) if re.fullmatch(rf"({'|'.join(SOURCES)})/[\w./{{}},-]*", span)]
    missing = [path for span in whole for path in spelt_out(span) if not (ROOT / path).exists()]
    names = {path.name for path in FILES}
    modules = [path for span in spans(page) if re.fullmatch(r"[\w/{},]+\.py", span) for path in spelt_out(span)]
    assert missing + [path for path in modules if Path(path).name not in names] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_code_and_make_target_that_a_page_names_is_there(page: Path) -> None:
    codes = {span for span in spans(page) if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", span)}
    assert {code for code in codes if code not in CODE} == set()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {found[1] for span in spans(page) if (found := re.fullmatch(r"make ([a-z-]+)", span))}
    assert {target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)} == set()


@pytest.mark.parametrize("settings", [CoordinatorSettings, NodeSettings, BankSettings])
def test_every_key_of_a_configuration_file_has_its_row(settings: type[msgspec.Struct]) -> None:
    page = (ROOT / "docs" / "services.md").read_text(encoding="utf-8")
    rows = " ".join(re.findall(r"^\| (`[^|]*) \|", page, re.MULTILINE))
    assert [key for key in settings.__struct_fields__ if not re.search(rf"`{key}[`.]", rows)] == []


def test_what_is_not_there_is_found() -> None:
    assert unknown(["node", "runn"]) == ["runn"]
    assert unknown(["audit", "verify", "DIR", "--kees", "FILE"]) == ["--kees"]
    assert unknown(["party", "list|approved", "DIR"]) == ["approved"]
    assert unknown(["audit", "verify", "DIR", "--keys", "FILE"]) == unknown(["node", "…"]) == []
    assert spelt_out("protocols/{masks,uscc}.py") == ["protocols/masks.py", "protocols/uscc.py"]
