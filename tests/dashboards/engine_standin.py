"""Stands in for the metrics of vLLM and SGLang: the names in `dashboards/engines/*.yaml`, with rising values."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.dashboards.reading import ENGINES

_BUCKETS = ("0.1", "0.5", "1.0", "5.0", "+Inf")


def exposition(engines: list[Mapping[str, Any]], age_s: float) -> str:
    """Write every metric of the engines in Prometheus' text format, as it is after so many seconds."""
    lines: list[str] = []
    for engine in engines:
        labels = ",".join(f'{name}="{value}"' for name, value in engine["labels"].items())
        for number, (name, kind) in enumerate(engine["metrics"].items()):
            lines += [f"# TYPE {name} {kind}", *_samples(name, kind, labels, age_s, number + 1)]
    return "\n".join(lines) + "\n"


def _samples(name: str, kind: str, labels: str, age_s: float, number: int) -> list[str]:
    if kind == "gauge":
        return [f"{name}{{{labels}}} {0.3 + 0.1 * (int(age_s) % 5)}"]
    if kind == "counter":
        return [f"{name}{{{labels}}} {age_s * 10 * number}"]
    counted = [f"{name}_sum{{{labels}}} {age_s * 4}", f"{name}_count{{{labels}}} {age_s * 5}"]
    if kind == "summary":
        return counted
    shares = zip(_BUCKETS, (0.2, 0.6, 0.9, 1.0, 1.0), strict=True)
    return [*(f'{name}_bucket{{{labels},le="{le}"}} {age_s * 5 * share}' for le, share in shares), *counted]


@contextlib.contextmanager
def running_engines() -> Iterator[str]:
    """Serve them at an address such as ``127.0.0.1:41234`` until the block ends."""
    began = time.monotonic()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = exposition(ENGINES, time.monotonic() - began + 1).encode()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
