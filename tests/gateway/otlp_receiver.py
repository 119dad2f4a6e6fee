"""A collector for tests: takes OTLP over HTTP as a real one does, and gives the spans that it was sent."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Received:
    """One span, with its ids in hexadecimal."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    attributes: dict
    events: list
    links: list
    is_error: bool
    started: int
    ended: int
    resource: dict


@dataclass
class Collector:
    """What has arrived. `status`: what it answers from now on."""

    url: str = ""
    status: int = 200
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict] = field(default_factory=list)

    def spans(self) -> list[Received]:
        return [span for body in list(self.bodies) for span in _read(body)]

    def wait_for(self, is_there, timeout_s=60):
        """Give the spans once `is_there` says so of them."""
        deadline = time.monotonic() + timeout_s
        while not is_there(spans := self.spans()):
            assert time.monotonic() < deadline, [(span.name, span.attributes) for span in spans]
            time.sleep(0.05)
        return spans

    def trace_of(self, decision_id):
        """Give the spans of one request's trace by name, once its own has arrived."""
        spans = self.wait_for(lambda spans: any(_is_root_of(span, decision_id) for span in spans))
        root = next(span for span in spans if _is_root_of(span, decision_id))
        return root, [span for span in spans if span.trace_id == root.trace_id]


def _is_root_of(span, decision_id):
    return span.kind == SERVER and span.attributes.get("thalamus.decision.id") == decision_id


SERVER, CLIENT = 2, 3


@contextmanager
def running_collector() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            if collector.status == 200 and self.path == "/v1/traces":
                collector.headers.append(dict(self.headers))
                collector.bodies.append(body)
            self.send_response(collector.status if self.path == "/v1/traces" else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _read(body):
    request = ExportTraceServiceRequest.FromString(body)
    for group in request.resource_spans:
        resource = _plain(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield Received(
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.kind,
                    _plain(span.attributes),
                    [(event.name, _plain(event.attributes)) for event in span.events],
                    [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                    span.status.code == 2,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    resource,
                )


def _plain(attributes):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
