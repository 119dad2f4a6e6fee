"""``thalamus cache explain``: why two prompts would, or would not, share an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gateway.cache.semantic.content import FACETS, Content, differences, read_content
from gateway.cache.settings import SemanticSettings

commands = typer.Typer(name="cache", help="What the semantic cache makes of prompts.", no_args_is_help=True)


@commands.callback()
def cache() -> None:
    """Commands about the cache."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two prompts compared. A content is None where the gate cannot read the prompt."""

    similarity: float
    threshold: float
    contents: tuple[Content | None, Content | None]

    @property
    def differing(self) -> tuple[str, ...]:
        """The facets that differ."""
        one, other = self.contents
        return () if one is None or other is None else tuple(differences(one, other))

    @property
    def why(self) -> str:
        """Why they match or do not, in one line."""
        if None in self.contents:
            return "no: the gate reads English and Chinese, up to 600 characters, and not this"
        if self.similarity < self.threshold:
            return f"no: similarity {self.similarity:.3f} is below {self.threshold:.2f}"
        if self.differing:
            return f"no: they differ in {', '.join(self.differing)}"
        return "yes: near enough, and of the same content"

    @property
    def matches(self) -> bool:
        """Whether one's answer would be given to the other."""
        return self.why.startswith("yes")

    def as_dict(self) -> Mapping[str, object]:
        """Give it for programs."""
        one, other = self.contents
        return {
            "match": self.matches,
            "why": self.why,
            "similarity": round(self.similarity, 4),
            "threshold": self.threshold,
            "differ": list(self.differing),
            "facets": {name: [getattr(one, name, None), getattr(other, name, None)] for name in FACETS},
        }


def compare(one: str, other: str, threshold: float) -> Comparison:
    """Compare two prompts as the semantic cache does.

    Raises:
        EncoderUnavailable: the encoder's package is not installed.
    """
    from classifiers.sentences import SentenceEncoder  # numpy costs time: loaded where it is used

    first, second = SentenceEncoder().encode([one, other])
    return Comparison(float(first @ second), threshold, (read_content(one), read_content(other)))


@commands.command()
def explain(
    one: Annotated[str, typer.Argument(help="A prompt.")],
    other: Annotated[str, typer.Argument(help="Another.")],
    threshold: Annotated[
        float, typer.Option(help="Least similarity, as cache.semantic.threshold.", min=0, max=1)
    ] = SemanticSettings().threshold,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Say why two prompts would, or would not, share an answer. Nothing is called and nothing is kept."""
    from classifiers.sentences import EncoderUnavailable

    try:
        found = compare(one, other, threshold)
    except EncoderUnavailable as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps(found.as_dict(), ensure_ascii=False, indent=2))
        return
    table = Table("", "one", "other", box=None)
    for name in FACETS:
        values = [getattr(content, name, None) for content in found.contents]
        if any(values):
            mark = "[red]≠[/red] " if name in found.differing else "  "
            table.add_row(mark + name, *(_written(value) for value in values))
    console = Console(highlight=False)
    console.print(f"[bold]{found.why}[/bold]   (similarity {found.similarity:.3f}, from {threshold:.2f})")
    console.print(table)


def _written(value: object) -> str:
    text = " · ".join(value) if isinstance(value, tuple) else str(value or "")
    return text.replace("[", r"\[")
