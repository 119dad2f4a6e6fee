"""Makes a picture small enough for the repository: `python -m tests.console.squeezing FROM TO`."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

COLOURS = (220, 128, 64)
"""Tried in this order."""

MOST_BYTES = 150_000
"""What a picture may take in the repository."""


def squeeze(source: Path, target: Path) -> None:
    """Keep the commonest colours as they are, and give every other pixel the nearest of them.

    Raises:
        SystemExit: it is still too large to be committed.
    """
    with Image.open(source) as opened:
        image = opened.convert("RGB")
    counted = sorted(image.getcolors(image.width * image.height) or [], reverse=True)
    for colours in COLOURS:
        palette = Image.new("P", (1, 1))
        palette.putpalette(b"".join(bytes(colour) for _, colour in counted[:colours]))  # type: ignore[arg-type]
        image.quantize(palette=palette, dither=Image.Dither.NONE).save(target, optimize=True)
        if target.stat().st_size <= MOST_BYTES:
            break
    else:
        raise SystemExit(f"{target} takes {target.stat().st_size:,} bytes; at most {MOST_BYTES:,} may be committed")


if __name__ == "__main__":
    squeeze(*map(Path, sys.argv[1:]))
