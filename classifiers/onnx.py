"""Serves one ONNX graph with a single thread and as little memory as onnxruntime allows. Its only importer.

From 1.29 on, onnxruntime's Linux builds tell Microsoft of every process, model and their use, and keep a device id and
a database in the home folder, unless this variable is set before the library is loaded
(https://github.com/microsoft/onnxruntime/pull/27379). A gateway tells nobody anything that it was not told to tell.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

Array = npt.NDArray[Any]

_ERRORS_ONLY: Final = 3


class Graph:
    """An ONNX graph that maps named arrays to named arrays. Safe to call from several threads."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a prompt is too small to share out; threads would only wake and wait
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph on a batch: every input and output has the batch as its first dimension."""
        return dict(zip(self._outputs, self._session.run(None, dict(inputs)), strict=True))


def as_float32(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Give an array the layout that a graph takes."""
    return np.ascontiguousarray(values, dtype=np.float32)
