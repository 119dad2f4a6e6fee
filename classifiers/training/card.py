"""Writes the model card that goes with a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def card(name: str, summary: Mapping[str, Any], *, cortex: bool) -> str:
    """Give the card's text; measured figures are in docs/evaluation."""
    thresholds = ", ".join(f"{notch} {value}" for notch, value in summary["thresholds"].items())
    reads = "structure, terms and a sentence embedding" if cortex else "structure and terms"
    return f"""# {name}

A linear difficulty model over {reads} of a conversation, one set of weights for every language.

- Says: probability that a fast and that a deep model falls short, conversation type, expected thinking tokens.
- Trained on {summary["trained_on"]} examples, sources as in docs/data.md. No non-commercial source is among them.
- Thresholds: {thresholds}. They were chosen on everyday chat among the validation sources.
- Calibration error {summary["calibration_error"]}, on cross-fitted training templates and the validation sources, on
  which the curve was also fitted; docs/evaluation has the error on the validation sources alone.
- Term evidence is distilled from universal-sentence-encoder-multilingual v3 (Apache-2.0), weights are Apache-2.0.
- Weakness: planning problems written in formal languages, long easy documents, hard questions in very few words.
"""
