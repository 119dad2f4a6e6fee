"""`python -m tests.bench.semantic`: calibrate the semantic cache on its pairs, and report on those held back."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from classifiers.sentences import SentenceEncoder
from gateway.cache.settings import SemanticSettings
from tests.bench.semantic.measure import calibrate, judge, report
from tests.bench.semantic.pairs import make_pairs


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.semantic", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.add_argument("--false-hits", action="store_true", help="print every near-miss that was taken for the same")
    parser.add_argument("--pairs", type=Path, metavar="FILE", help="write the pairs as JSON lines, and stop")
    options = parser.parse_args()
    pairs = make_pairs()
    if options.pairs:
        lines = (
            json.dumps({name: getattr(pair, name) for name in pair.__slots__}, ensure_ascii=False) for pair in pairs
        )
        options.pairs.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return
    judged = judge(pairs, SentenceEncoder())
    fitted = [one for one in judged if not one.pair.held_back]
    held = [one for one in judged if one.pair.held_back]
    calibrated, served = calibrate(fitted), SemanticSettings().threshold
    figures = {"calibrated": calibrated, "fitted": report(fitted, served), "held_back": report(held, served)}
    if options.json:
        print(json.dumps(figures, ensure_ascii=False, indent=2))
    else:
        print(f"threshold: {served} served, {calibrated} calibrated on the fitted part\n")
        for part in ("fitted", "held_back"):
            _print_part(part, figures[part])
    if options.false_hits:
        for one in judged:
            if not one.pair.same and one.agrees and one.similarity >= served:
                print(f"{one.similarity:.2f} {one.pair.sort}: {one.pair.one} | {one.pair.other}")


def _print_part(name: str, figures: dict) -> None:
    print(f"{name}: {figures['pairs']} pairs from {figures['templates']} templates")
    rows = {
        "gate and similarity": figures["gate_and_similarity"],
        "gate alone": figures["gate_alone"],
        **{f"similarity alone, from {at}": rates for at, rates in figures["similarity_alone"].items()},
        **{f"both, {language}": rates for language, rates in figures["by_language"].items()},
    }
    for what, found in rows.items():
        print(
            f"  {what:32} paraphrases found {found['found_share']:6.1%} of {found['paraphrases']}"
            f"   false hits {found['false_share']:7.2%} ({found['false_hits']} of {found['near_misses']})"
        )
    false, of = figures["false_hits_by_sort"], figures["near_misses_by_sort"]
    print(
        "  false hits by sort: " + ", ".join(f"{sort} {false.get(sort, 0)} of {of[sort]}" for sort in sorted(of)) + "\n"
    )


if __name__ == "__main__":
    main()
