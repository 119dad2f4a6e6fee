"""Reasoning that comes inside the text, between tags such as ``<think>``: told apart piece by piece.

A tag may be cut anywhere between two pieces, so that only what might become a tag is held back. Tags count where
models write them: an opener at the start of the answer (of any line, where the backend is known to think inside its
answers) and outside fenced code; a closer at its first appearance that is not quoted in backticks.
"""

from __future__ import annotations

import re
from typing import Literal

DEFAULT_TAGS = ("think",)

_INDENT = re.compile(r"[ \t]*")
_MARKS = re.compile(r"`+|~+")


class TagSplitter:
    """Tells reasoning from answer in a text that arrives in pieces."""

    def __init__(
        self, tags: tuple[str, ...] = DEFAULT_TAGS, *, anywhere: bool = False, opener_missing: bool = False
    ) -> None:
        """Prepare for one answer.

        Args:
            tags: names of the tags to look for, the likeliest first.
            anywhere: look at the start of every line and not only of the answer.
            opener_missing: the chat template has written the opener, so that the text starts as reasoning.
        """
        self._closers = {f"<{tag}>": f"</{tag}>" for tag in tags}
        self._closer = f"</{tags[0]}>"
        self._anywhere = anywhere
        self._mode: Literal["opening", "reasoning", "answer", "settled"]
        self._mode = "opening" if opener_missing else "answer"
        self._assumed = opener_missing
        self._held = ""
        self._skip_breaks = False
        self._last = ""  # the last character of reasoning that was given
        self._begun = False  # whether any visible answer was given
        self._fresh = True  # whether the reading stands at the start of a line
        self._fence = ""  # the mark of the code block that is open
        self._reasoning: list[str] = []
        self._answer: list[str] = []
        self._unclosed: list[str] = []

    @property
    def settled(self) -> bool:
        """Whether nothing is looked for any more: all further text is answer."""
        return self._mode == "settled"

    @property
    def unclosed(self) -> bool:
        """Whether the text is taken for reasoning on an assumption that no closer has confirmed yet."""
        return self._assumed

    def expect_no_tags(self) -> None:
        """Learn that reasoning comes in a field of its own, so that the text does not start as reasoning."""
        self._anywhere = False
        if self._mode == "opening":
            self._mode, self._assumed = "answer", False

    def feed(self, text: str) -> tuple[str, str]:
        """Take a piece of text and give (reasoning, answer) as far as they are certain."""
        if self._mode == "settled":
            return "", text
        rest, self._held = self._held + text, ""
        while rest:
            rest = self._step(rest)
        return self._take()

    def flush(self, *, truncated: bool = False) -> tuple[str, str]:
        """Give what is still held, as the text has ended.

        Where the opener was only assumed and no closer ever came, the text was the answer after all, unless it
        broke off for length: then it is given again, as answer, because an empty answer would be worse.
        """
        held, self._held = self._held, ""
        if self._mode not in ("opening", "reasoning"):
            return "", held
        if self._assumed and not truncated:
            self._assumed = False
            return "", "".join(self._unclosed) + held
        return ("" if held == self._closer else held), ""

    def _take(self) -> tuple[str, str]:
        reasoning, answer = "".join(self._reasoning), "".join(self._answer)
        self._reasoning.clear()
        self._answer.clear()
        if self._assumed and reasoning:
            self._unclosed.append(reasoning)
        return reasoning, answer

    def _step(self, text: str) -> str:
        """Read on in the present mode; give what is left for the next mode, "" if nothing is."""
        if self._mode == "opening":
            return self._begin_assumed(text)
        if self._mode == "reasoning":
            return self._read_reasoning(self._without_breaks(text))
        return self._read_answer(self._without_breaks(text))

    def _begin_assumed(self, text: str) -> str:
        """Begin as reasoning, past an opener if one is there in spite of all."""
        start = len(text) - len(text.lstrip())
        opener = self._opener_at(text, start)
        if opener is None:
            self._held = text
            return ""
        if opener:
            return self._open(text[start + len(opener) :], opener)
        self._mode = "reasoning"
        return text

    def _opener_at(self, text: str, start: int) -> str | None:
        """Give the opener at a place, "" if there is none, None if more text is needed to tell."""
        for opener in self._closers:
            if text.startswith(opener, start):
                return opener
        rest = text[start : start + max(map(len, self._closers))]
        return None if any(opener.startswith(rest) for opener in self._closers) else ""

    def _open(self, rest: str, opener: str) -> str:
        self._mode, self._closer = "reasoning", self._closers[opener]
        self._skip_breaks, self._assumed = True, False
        return rest

    def _read_reasoning(self, text: str) -> str:
        """Read up to the closer, or as far as no closer can have begun."""
        found = text.find(self._closer)
        while found >= 0:
            end = found + len(self._closer)
            if not self._opened_by_backtick(text, found) or text[end : end + 1] not in ("`", ""):
                self._give_reasoning(text[:found])
                return self._close(text[end:])
            if end == len(text):
                break
            found = text.find(self._closer, end)
        keep = found if found >= 0 else len(text) - _overlap(text, self._closer)
        self._give_reasoning(text[:keep])
        self._held = text[keep:]
        return ""

    def _opened_by_backtick(self, text: str, found: int) -> bool:
        return (text[found - 1] if found else self._last) == "`"

    def _close(self, rest: str) -> str:
        self._mode, self._skip_breaks, self._assumed = "answer", True, False
        self._fresh, self._fence = True, ""
        return rest

    def _without_breaks(self, text: str) -> str:
        """Drop the line breaks that models put after a tag."""
        if self._skip_breaks:
            text = text.lstrip("\r\n")
            self._skip_breaks = not text
        return text

    def _read_answer(self, text: str) -> str:
        """Read line by line until a tag opens reasoning; hold the start of a line that may yet become one."""
        at = 0
        while at < len(text):
            if not self._fresh:
                at = text.find("\n", at) + 1 or len(text)
                self._fresh = text[at - 1] == "\n"
                continue
            first = _INDENT.match(text, at).end()  # type: ignore[union-attr]  # it matches anything
            opener = "" if self._fence else self._opener_at(text, first)
            if opener:
                self._give_answer(text[:at])
                return self._open(text[first + len(opener) :], opener)
            if opener is None or not self._begin_line(text, first):
                break
            if self._mode == "settled":
                at = len(text)
                break
            at = first
        if not self._begun and not text[:at].strip():
            at = 0  # white space before the first word may turn out to be white space before a tag
        self._give_answer(text[:at])
        self._held = text[at:]
        return ""

    def _begin_line(self, text: str, first: int) -> bool:
        """Look at a line's first visible character; False if more text is needed to tell a fence."""
        if first == len(text):
            return False
        if not self._anywhere:
            self._mode = "answer" if text[first] in "\r\n" else "settled"
        elif marks := _MARKS.match(text, first):
            if marks.end() == len(text):
                return False
            self._pass_fence(marks[0])
        self._fresh = False
        return True

    def _pass_fence(self, marks: str) -> None:
        """Open or close a block of code; a line of fewer marks, or of the other sort, does neither."""
        if not self._fence and len(marks) >= 3:
            self._fence = marks
        elif self._fence and marks.startswith(self._fence):
            self._fence = ""

    def _give_reasoning(self, text: str) -> None:
        if text:
            self._reasoning.append(text)
            self._last = text[-1]

    def _give_answer(self, text: str) -> None:
        if text and (self._begun or text.strip()):
            self._answer.append(text)
            self._begun = True


def split_whole(
    text: str,
    tags: tuple[str, ...] = DEFAULT_TAGS,
    *,
    anywhere: bool = False,
    opener_missing: bool = False,
    truncated: bool = False,
) -> tuple[str, str]:
    """Split a whole text into (reasoning, answer).

    Unlike a stream, a whole text shows a closer that has no opener, so that a missing opener is found unasked.
    """
    if "<" not in text and not (opener_missing and truncated):
        return "", text
    splitter = TagSplitter(tags, anywhere=anywhere, opener_missing=opener_missing or _lone_closer(text, tags))
    reasoning, answer = splitter.feed(text)
    if splitter.unclosed and not truncated:
        return "", text
    more_reasoning, more_answer = splitter.flush(truncated=truncated)
    return reasoning + more_reasoning, answer + more_answer


def _lone_closer(text: str, tags: tuple[str, ...]) -> bool:
    """Whether the first tag in a text, outside code, is a closer."""
    for tag in tags:
        closer = re.search(rf"(?<!`)</{re.escape(tag)}>|</{re.escape(tag)}>(?!`)", text)
        if closer and f"<{tag}>" not in text[: closer.start()]:
            return len(re.findall(r"^[ \t]*(?:```|~~~)", text[: closer.start()], re.MULTILINE)) % 2 == 0
    return False


def _overlap(text: str, tag: str) -> int:
    """Give the length of the longest end of a text that is a beginning of a tag."""
    start = text.rfind("<", max(0, len(text) - len(tag) + 1))
    return len(text) - start if start >= 0 and tag.startswith(text[start:]) else 0
