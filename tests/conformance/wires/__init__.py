"""How a stand-in is spoken to: OpenAI's chat completions, Anthropic's Messages, and Gemini's own API.

A wire reads a request as the chat request that all stand-ins understand, and writes their message as its API does.
"""

from tests.conformance.wires.base import Wire
from tests.conformance.wires.chat import ChatWire
from tests.conformance.wires.gemini import GeminiWire
from tests.conformance.wires.messages import MessagesWire

__all__ = ["ChatWire", "GeminiWire", "MessagesWire", "Wire", "wire_for"]


def wire_for(path: str) -> Wire:
    """Give the wire that a request's path speaks."""
    if path.endswith("/messages"):
        return MessagesWire()
    return GeminiWire() if "enerateContent" in path else ChatWire()
