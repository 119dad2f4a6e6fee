"""Backends that speak OpenAI's Responses API themselves: their answers, read as far as the gateway must.

`answer` reads a whole response: its usage, what became of it, and the chat completion that says the same, for the cache
and the vault. `relay` passes the events of a streamed one on. How a caller gets to see them is the surface's business.
"""

from gateway.native.answer import NativeAnswer, read_answer
from gateway.native.relay import NativeRelay, event_kind

__all__ = ["NativeAnswer", "NativeRelay", "event_kind", "read_answer"]
