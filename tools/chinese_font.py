"""Cut the mirror's Chinese font out of Noto Sans CJK: the characters that the page itself says.

    python tools/chinese_font.py /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc

Debian's package is fonts-noto-cjk; the licence (OFL 1.1) lies beside the font. Run it again when
`languages/zh.json` says something new.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTCollection

PAGE = Path(__file__).parents[1] / "device" / "edgefer_device" / "sinks" / "mirror" / "page"
FONT = PAGE / "noto-sans-sc.woff"
FACE = "NotoSansCJKsc-Regular"
DATES = "年月日星期一二三四五六上下午"
"""What browsers write in dates and in a 12-hour clock."""


def wanted() -> str:
    """Return the characters beyond Latin that the page says in Chinese, each once."""
    text = (PAGE / "languages" / "zh.json").read_text("utf-8") + DATES
    return "".join(sorted({letter for letter in text if ord(letter) >= 0x2E80}))


def main(collection: str) -> None:
    """Write the font."""
    faces = TTCollection(collection).fonts
    font = next(face for face in faces if face["name"].getDebugName(6) == FACE)
    options = Options(layout_features=["kern", "locl"], hinting=False, flavor="woff")
    subsetter = Subsetter(options)
    subsetter.populate(text=wanted())
    subsetter.subset(font)
    font.flavor = "woff"
    font.save(FONT)


if __name__ == "__main__":
    main(sys.argv[1])
