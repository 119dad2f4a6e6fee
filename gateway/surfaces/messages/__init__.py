"""Anthropic's Messages API over chat completions.

`request` and `content` write the inner chat request, `answer` and `stream` write the message, whole or as events,
`thoughts` signs reasoning, `ending` says why an answer stopped and what it cost, `errors` and `estimate` do the rest.
"""

from gateway.surfaces.messages.answer import write_message
from gateway.surfaces.messages.ending import Telling, Thoughts
from gateway.surfaces.messages.errors import MESSAGES_ERRORS
from gateway.surfaces.messages.estimate import estimate_tokens
from gateway.surfaces.messages.request import write_chat, write_prompt
from gateway.surfaces.messages.stream import MessageStream

__all__ = [
    "MESSAGES_ERRORS",
    "MessageStream",
    "Telling",
    "Thoughts",
    "estimate_tokens",
    "write_chat",
    "write_message",
    "write_prompt",
]
