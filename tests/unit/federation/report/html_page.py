"""What a browser would make of a page, and what holds for every page of ours."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "br"}
LOADING = {"script", "link", "img", "image", "iframe", "object", "embed", "use", "base", "form", "foreignobject"}
GEOMETRY = ("d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height", "viewbox")
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}&amp;"


class Page(HTMLParser):
    """What a browser would build: every element with its attributes, the texts, and whether tags balance."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def values(self, name: str) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get(name)) is not None]

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


def check(html: str) -> Page:
    """Assert what holds for every page, and return it parsed."""
    page = Page(html)
    html.encode("utf-8")
    assert not {tag for tag, _ in page.elements} & LOADING
    names = {name for _, attributes in page.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")} | (names & {"style", "src", "srcset", "xlink:href"})
    assert "://" not in html
    assert "url(" not in html
    assert "@import" not in html
    identities = page.values("id")
    assert len(set(identities)) == len(identities)
    for reference in page.values("aria-labelledby"):
        assert set(reference.split()) <= set(identities)
    for target in page.values("href"):
        assert target.startswith("#")
        assert target[1:] in identities
    drawn = [value for name in GEOMETRY for value in page.values(name)]
    assert not re.search(r"nan|inf|None|e[+-]", " ".join(drawn))
    assert not {"nan", "inf", "None"} & {text.strip() for text in page.texts}
    return page
