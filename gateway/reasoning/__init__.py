"""One name for reasoning, whatever the backend calls it: `reasoning_content`, plain and streamed.

`tags` tells reasoning from answer where both share the text, `fields` reads it from messages and deltas, `usage`
counts it, and `frames` does all that to bytes on the hot path.
"""

from gateway.reasoning.fields import ReasoningOptions, ReasoningStream, normalise_message, shown
from gateway.reasoning.frames import FrameRewriter, needs_rewrite, rewrite_answer, show_answer
from gateway.reasoning.tags import TagSplitter, split_whole
from gateway.reasoning.usage import Meter, with_reasoning_tokens

__all__ = [
    "FrameRewriter",
    "Meter",
    "ReasoningOptions",
    "ReasoningStream",
    "TagSplitter",
    "needs_rewrite",
    "normalise_message",
    "rewrite_answer",
    "show_answer",
    "shown",
    "split_whole",
    "with_reasoning_tokens",
]
