"""Long inputs: pasted mails, minutes, articles, logs, contracts, role-play set-ups and code.

Length is not difficulty. Most documents come with a question that anybody who can read answers (translate, shorten,
find the date), and their label is that of the question. The same kind of document with a question that needs the
whole of it at once (contradictions between clauses, the cause of a race) is hard.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from classifiers.training.homemade.sample import Sample, prompt
from classifiers.training.homemade.templates import Slots, fill, read_lines, read_slots, read_table, shared_slots
from classifiers.types import Kind

_SOURCE = "homemade_documents"
_TABLES = ("documents_en.toml", "documents_zh.toml", "documents_code.toml")
_ROWS = 40
# Pieces of text in a document; lengths are drawn evenly on a logarithmic scale between these.
_SHORTEST, _LONGEST = 6, 90


def samples(rng: random.Random) -> Iterator[Sample]:
    """Documents with questions, for every document type, question set and language."""
    for name in _TABLES:
        table = read_table(name)
        shared = shared_slots(table["language"])
        for document in table["document"]:
            slots = {**shared, **read_slots(table.get("slots", {})), **read_slots(document.get("slots", {}))}
            for question in document["question"]:
                for _ in range(question.get("rows", _ROWS)):
                    yield _sample(table["language"], document, question, slots, rng)


def _sample(
    language: str,
    document: Mapping[str, Any],
    question: Mapping[str, Any],
    slots: Slots,
    rng: random.Random,
) -> Sample:
    body = _body(document, slots, rng)
    asked = fill(rng.choice(read_lines(question["lines"])), slots, rng)
    text = f"{asked}\n\n{body}" if rng.random() < 0.5 else f"{body}\n\n{asked}"
    return Sample(_SOURCE, question["domain"], language, Kind(question["kind"]), question["difficulty"], prompt(text))


def _body(document: Mapping[str, Any], slots: Slots, rng: random.Random) -> str:
    """Write a document: opening, pieces, close. Pieces repeat only when all are used."""
    pieces = _pieces(document)
    wanted = round(_SHORTEST * (_LONGEST / _SHORTEST) ** rng.random())
    wanted = min(wanted, document.get("most", _LONGEST))
    chosen: list[str] = []
    while len(chosen) < wanted:
        chosen += rng.sample(pieces, min(len(pieces), wanted - len(chosen)))
    joint: str = document.get("joint", "\n")
    written = [_written(piece, document, slots, rng) for piece in chosen]
    if document.get("chronological"):
        written.sort()
    opening = _written(document.get("opening", ""), document, slots, rng)
    close = _written(document.get("close", ""), document, slots, rng)
    return "\n".join(part for part in (opening, joint.join(written), close) if part)


def _pieces(document: Mapping[str, Any]) -> list[str]:
    """List the sentences of a text, or the whole functions of a source file."""
    if "blocks" in document:
        return [block.strip("\n") for block in document["blocks"]]
    return list(read_lines(document["pieces"]))


def _written(text: str, document: Mapping[str, Any], slots: Slots, rng: random.Random) -> str:
    """Fill the slots of a text; code is left as it is."""
    return text if "blocks" in document else fill(text, slots, rng)
