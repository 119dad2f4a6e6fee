"""``python -m tests.golden.classifiers``: write the pinned files again. Look at the difference before committing it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.golden.classifiers.pinning import DECISIONS, FEATURES, decisions, features


def write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    print(f"wrote {path.name}")


write(FEATURES, features())
write(DECISIONS, decisions())
