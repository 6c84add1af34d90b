"""Makes the two fonts of the PDF report from Noto Sans CJK; run again only when the set of characters changes.

    python -m paper.subset_fonts NotoSansCJK-Regular.ttc NotoSansCJK-Bold.ttc

Source: Noto Sans CJK 2.004, SIL Open Font License 1.1, which reserves the name "Source" and asks that a modified font
keep its licence (`fonts/OFL.txt`). The subset holds ASCII, Latin-1, the symbols and the 3,755 everyday characters of
GB 2312; a character outside it is drawn as a geta mark.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTCollection, TTFont

FAMILY: Final = "Credfed Sans SC"
FONTS: Final = Path(__file__).parent / "fonts"
SYMBOL_ROWS: Final = (0xA1, 0xA2, 0xA3)
CHARACTER_ROWS: Final = range(0xB0, 0xD8)
EXTRA: Final = "–—·•●○✓×−±≥≤→▲▼‘’“”…〓\u2009\u00a0"
_NAMED_FAMILY, _NAMED_UNIQUE, _NAMED_FULL, _NAMED_POSTSCRIPT = 1, 3, 4, 6
_KEPT_NAMES: Final = (0, 2, 5, 7, 13, 14)


def characters() -> str:
    """Return every character that the subset holds."""
    rows = (bytes((row, cell)) for row in (*SYMBOL_ROWS, *CHARACTER_ROWS) for cell in range(0xA1, 0xFF))
    latin = "".join(map(chr, (*range(0x20, 0x7F), *range(0xA0, 0x100))))
    return latin + EXTRA + "".join(pair.decode("gb2312", errors="ignore") for pair in rows)


def subset(collection: Path, weight: str) -> TTFont:
    """Return the Simplified Chinese face of a collection, cut to `characters` and under a name of its own."""
    wanted = "Noto Sans CJK SC" if weight == "Regular" else f"Noto Sans CJK SC {weight}"
    font = next(face for face in TTCollection(str(collection)).fonts if face["name"].getDebugName(4) == wanted)
    options = Options()
    options.layout_features, options.hinting, options.desubroutinize = ["kern"], False, True
    options.notdef_outline, options.name_IDs = True, list(_KEPT_NAMES)
    subsetter = Subsetter(options)
    subsetter.populate(text=characters())
    subsetter.subset(font)
    _rename(font, weight)
    return font


def _rename(font: TTFont, weight: str) -> None:
    postscript = f"{FAMILY.replace(' ', '')}-{weight}"
    names = {_NAMED_FAMILY: FAMILY, _NAMED_UNIQUE: postscript, _NAMED_FULL: f"{FAMILY} {weight}"}
    for identifier, text in {**names, _NAMED_POSTSCRIPT: postscript}.items():
        font["name"].setName(text, identifier, 3, 1, 0x409)
    table = font["CFF "].cff
    table.fontNames = [postscript]
    table.topDictIndex[0].FullName, table.topDictIndex[0].FamilyName = f"{FAMILY} {weight}", FAMILY


def main(regular: str, bold: str) -> None:
    """Write both fonts beside their licence."""
    for path, weight in ((regular, "Regular"), (bold, "Bold")):
        font = subset(Path(path), weight)
        font["head"].modified = font["head"].created  # the same bytes for the same source
        font.recalcTimestamp = False
        font.save(str(FONTS / f"credfed-sans-sc-{weight.lower()}.otf"))


if __name__ == "__main__":
    main(*sys.argv[1:])
