"""Reads a conversation the way the model does: what is asked, what it refers to, and what lies around it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from classifiers.types import Conversation, Turn

READ_CHARS = 3600
"""How much of a question is read word by word. Longer ones are read at head and tail, so cost stays flat."""

_ASK_CHARS = 700
"""A text no longer than this is all question; in a longer one the ask is looked for at both ends."""

_HEAD_SHARE = 0.55
_SYSTEM_CHARS = 600

_REFERRING = re.compile(
    r"^\W*(?:(?:yes|yep|yeah|ok(?:ay)?|sure|no|why|how so|go on|continue|please do|do it|more|again|and then|next|"
    r"s[ií]|oui|ja|да|нет|はい|続けて|なぜ|weiter|warum|pourquoi|continue[rz]?|por qu[eé]|почему|дальше|продолжай)\b"
    r"|(?:好的?|是的?|对|嗯|可以|行|继续|接着|然后呢|为什么|怎么说|再来|再说|展开|详细点|下一步|还有吗)).{0,24}$",
    re.IGNORECASE | re.DOTALL,
)
"""A turn that says little alone and leans on what was asked before it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A conversation taken apart. Texts are excerpts, bounded in length; counts are of the whole."""

    question: str
    """What is asked, at most `READ_CHARS` and the turn it refers to."""
    ask: str
    """The part of the question that gives the task, without a pasted document."""
    system: str
    question_chars: int
    system_chars: int
    tool_chars: int
    history_chars: int
    user_turns: int
    tool_turns: int
    tools: int
    refers: bool


def read(conversation: Conversation) -> Reading:
    """Take a conversation apart. Any turns will do, none included; cost does not grow with their length."""
    users = [turn.text for turn in conversation.turns if turn.role == "user"]
    last = users[-1] if users else ""
    refers = len(users) > 1 and len(last) <= 60 and _REFERRING.match(last.strip()) is not None
    asked = f"{users[-2]}\n\n{last}" if refers else last
    question = excerpt(asked, READ_CHARS)
    systems = [turn.text for turn in conversation.turns if turn.role == "system"]
    return Reading(
        question=question,
        ask=find_ask(question),
        system=systems[0][:_SYSTEM_CHARS] if systems else "",
        question_chars=len(asked),
        system_chars=sum(map(len, systems)),
        tool_chars=_length(conversation.turns, "tool"),
        history_chars=sum(map(len, users[:-1])) + _length(conversation.turns, "assistant"),
        user_turns=len(users),
        tool_turns=sum(turn.role == "tool" for turn in conversation.turns),
        tools=conversation.tools,
        refers=refers,
    )


def excerpt(text: str, limit: int) -> str:
    """Give the head and the tail of a text longer than `limit` characters, and the whole of any other."""
    if len(text) <= limit:
        return text
    head = int(limit * _HEAD_SHARE)
    return f"{text[:head]}\n\n{text[head - limit :]}"


def find_ask(question: str) -> str:
    """Find the part that gives the task: people put it before or after what they paste, seldom in its middle."""
    if len(question) <= _ASK_CHARS:
        return question
    paragraphs = [part for part in question.split("\n\n") if part.strip()]
    half = _ASK_CHARS // 2
    if len(paragraphs) < 2:
        return f"{question[:half]}\n{question[-half:]}"
    return f"{paragraphs[0][:half]}\n{paragraphs[-1][-half:]}"


def _length(turns: tuple[Turn, ...], role: str) -> int:
    return sum(len(turn.text) for turn in turns if turn.role == role)
