"""What can be told of an answer from itself alone: was it cut off, is it empty, a refusal, a shrug, or a guess.

Pure functions over the bytes of a chat completion; `gateway.calls.cascade` acts on what they find.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from statistics import fmean
from typing import Any

import msgspec

from router.types import AnswerCheck


class Finding(StrEnum):
    """What the check of an answer found: a closed set, safe as a label and in a header."""

    OK = "ok"
    UNREADABLE = "unreadable"
    CUT_OFF = "cut-off"
    EMPTY = "empty"
    REFUSED = "refused"
    UNSURE = "unsure"
    LOW_CONFIDENCE = "low-confidence"
    SELF_DOUBT = "self-doubt"
    NO_VERDICT = "no-verdict"
    """The self-check said neither yes nor no, or could not be had: nothing speaks against the answer."""

    @property
    def passes(self) -> bool:
        """Whether the answer may be shown."""
        return self in (Finding.OK, Finding.NO_VERDICT)


class _Token(msgspec.Struct):
    logprob: float | None = None


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    function_call: dict[str, Any] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: msgspec.Raw = msgspec.Raw(b"null")


class _Completion(msgspec.Struct):
    choices: list[_Choice]


_completions = msgspec.json.Decoder(_Completion)
_logprobs = msgspec.json.Decoder(_Logprobs | None)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_choice_fields = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])

_LEAST_LOGPROB = -20.0
"""OpenAI writes -9999 for "very unlikely", and a single one must not decide over a whole answer."""

_WINDOW = 160
"""Characters at either end of an answer in which a refusal or a shrug is looked for."""

_READ = 1000
"""Characters at either end that are read for quotations: an unclosed quotation mark costs its square."""

_QUOTED = re.compile(
    r"```[\s\S]*?(?:```|\Z)|`[^`\n]*`|\"[^\"\n]*\"|“[^”]*”|«[^»]*»|「[^」]*」|『[^』]*』|^>[^\n]*",
    re.MULTILINE,
)
_OPENING = r"(?:^|[.!?:;。！？：；\n])[\s*_#-]*(?:[^.!?。！？\n,，、]{0,32}[,，、]\s*){0,2}"

_REFUSALS: Mapping[str, str] = {
    "en": r"i(?:['’]?m| am) (?:sorry|afraid)[^.!?\n]{0,30}(?:can['’]?t|cannot|can not|unable|not able|won['’]?t)\b"
    r"|(?:but )?i(?: am|['’]m)? (?:can['’]?t|cannot|can not|unable to|not able to|won['’]?t) "
    r"(?:help|assist|answer|provide|comply|fulfil+|do (?:that|this)|solve|complete|continue|discuss|process)\b",
    "zh": r"(?:但)?(?:我|作为)[^。！？\n]{0,16}(?:无法|無法|不能|没办法|沒辦法|不便|不可以)"
    r"(?:直接)?(?:回答|提供|帮|幫|协助|協助|完成|满足|滿足|处理|處理|解答|讨论|討論|继续|生成)",
    "de": r"(?:aber )?(?:ich kann|kann ich|ich bin nicht in der lage)[^.!?\n]{0,60}(?:nicht|leider)[^.!?\n]{0,20}"
    r"(?:helfen|beantworten|bereitstellen|beantworten|unterstützen|erfüllen|weiterhelfen)",
    "fr": r"(?:mais )?je (?:ne peux pas|ne suis pas en mesure|ne suis pas capable|regrette)[^.!?\n]{0,20}"
    r"(?:aider|répondre|fournir|assister|faire|satisfaire|traiter)",
    "es": r"(?:pero )?(?:no puedo|no me es posible|no soy capaz de|no estoy en condiciones de)[^.!?\n]{0,10}"
    r"(?:ayud|respond|proporcion|cumpl|hacer|contest|asist|realiz)",
    "ja": r"(?:申し訳(?:ありません|ございません)|すみません)[^。\n]{0,40}"
    r"(?:できません|出来ません|できかねます|いたしかねます)"
    r"|(?:お答え|回答|お手伝い|提供|対応)(?:は|を)?(?:することは|すること)?(?:できません|出来ません|できかねます)",
    "ru": r"(?:но )?я не (?:могу|в состоянии)[^.!?\n]{0,10}(?:помочь|ответить|предоставить|выполнить|решить|обсуждать)",
}
_SHRUGS: Mapping[str, str] = {
    "en": r"(?:but )?(?:i(?:['’]?m| am) (?:really |honestly )?(?:not (?:\w+ )?(?:sure|certain)|unsure|uncertain)"
    r"|i (?:do not|don['’]?t) (?:really |actually )?(?:know\b(?! of)|have enough information)|i have no idea"
    r"|i (?:can['’]?t|cannot) (?:be (?:sure|certain)|say for (?:sure|certain)|tell for (?:sure|certain)))",
    "zh": r"(?:但)?我(?:也|并|並|其实|其實)?(?:不太|不是很|不|没法|沒法|无法|無法|不能)(?:完全|太|很)?"
    r"(?:确定|確定|肯定|清楚|知道|确认|確認)|(?:但)?我没(?:有)?(?:什么)?把握|(?:但)?我沒(?:有)?把握",
    "de": r"(?:aber )?(?:ich bin (?:mir )?(?:da |dabei )?(?:nicht (?:ganz |völlig )?|un)sicher|ich weiß (?:es )?nicht|"
    r"da bin ich mir nicht sicher|ich habe keine ahnung)",
    "fr": r"(?:mais )?(?:je ne suis pas (?:\w+ )?(?:sûre?|certaine?)|je ne sais pas|je n['’]en sais rien|"
    r"je n['’]ai aucune idée)",
    "es": r"(?:pero )?(?:no estoy (?:\w+ )?segur[oa]|no lo sé|no sé (?:la respuesta|con certeza)|"
    r"no tengo (?:ni )?idea)",
    "ja": r"(?:[^。\n]{0,20}(?:は|については))?(?:よく)?"
    r"(?:分かりません|わかりません|知りません|確信が(?:持てません|ありません)|自信が(?:ありません|ない))",
    "ru": r"(?:но )?я (?:\w+ )?не (?:\w+ )?(?:уверен|уверена|знаю|могу сказать точно)|(?:но )?понятия не имею",
}


def _any_of(phrases: Mapping[str, str]) -> re.Pattern[str]:
    return re.compile(f"{_OPENING}(?:{'|'.join(phrases.values())})", re.IGNORECASE)


_REFUSAL, _SHRUG = _any_of(_REFUSALS), _any_of(_SHRUGS)
_YES = re.compile(r"\W*(?:yes|correct|true|是|对|對|正确|正確)", re.IGNORECASE)
_NO = re.compile(r"\W*(?:no\b|not\b|incorrect|wrong|false|不|否|错|錯)", re.IGNORECASE)


def check_answer(body: bytes, check: AnswerCheck) -> Finding:
    """Look at a whole chat completion, and name the first thing that speaks against showing it."""
    try:
        choices = _completions.decode(body).choices
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Finding.UNREADABLE
    if not choices:
        return Finding.EMPTY
    return next((finding for choice in choices for finding in _faults(choice, check)), Finding.OK)


def confidence(logprobs: bytes) -> float | None:
    """Give the geometric mean of the probabilities of an answer's tokens, None if nothing is known of them.

    Long answers are not punished for their length, as they would be by the probability of the whole. Weakness: it
    tells how sure the model is of its words, not of its facts, and falls with the sampling temperature.

    Args:
        logprobs: of one choice, as JSON.
    """
    try:
        found = _logprobs.decode(logprobs)
    except msgspec.DecodeError:
        return None
    tokens = (found and found.content) or []
    known = [max(token.logprob, _LEAST_LOGPROB) for token in tokens if token.logprob is not None]
    return math.exp(fmean(known)) if known else None


def read_text(body: bytes) -> str:
    """Give the text of a completion's first choice; empty where it has none, or calls tools instead."""
    try:
        choices = _completions.decode(body).choices
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return (choices[0].message.content or "") if choices else ""


def read_verdict(text: str) -> Finding:
    """Read what a model says of its own answer, having been asked for yes or no in English or Chinese."""
    if _NO.match(text):
        return Finding.SELF_DOUBT
    return Finding.OK if _YES.match(text) else Finding.NO_VERDICT


def without_logprobs(body: bytes) -> bytes:
    """Take the log-probabilities out of a completion whose caller did not ask for them; all else keeps its bytes."""
    try:
        fields = _fields.decode(body)
        choices = _choice_fields.decode(fields["choices"])
    except (KeyError, msgspec.DecodeError):
        return body
    kept = [{**choice, "logprobs": None} if "logprobs" in choice else choice for choice in choices]
    return msgspec.json.encode({**fields, "choices": kept})


def _faults(choice: _Choice, check: AnswerCheck) -> Iterator[Finding]:
    message, text = choice.message, choice.message.content or ""
    if choice.finish_reason == "content_filter":
        return  # the word of the provider's moderation, which another model is not to be asked to get around
    if choice.finish_reason == "length":
        yield Finding.CUT_OFF
    if message.refusal or _is_said(_REFUSAL, text):
        yield Finding.REFUSED
    if not (text.strip() or message.tool_calls or message.function_call):
        yield Finding.EMPTY
    if _is_said(_SHRUG, text):
        yield Finding.UNSURE
    sure = confidence(choice.logprobs) if check.min_confidence else None
    if sure is not None and sure < check.min_confidence:
        yield Finding.LOW_CONFIDENCE


def _is_said(phrase: re.Pattern[str], text: str) -> bool:
    """Whether the model says it, in its own name, at the beginning or the end of its answer.

    Weakness: it reads wording, so that the translation of a shrug is one; that costs a call and no answer.
    """
    beginning, end = _own_words(text[:_READ]), _own_words(text[-_READ:])
    return phrase.search(beginning[:_WINDOW]) is not None or phrase.search(end[-_WINDOW:]) is not None


def _own_words(text: str) -> str:
    """Leave out what is quoted, code included."""
    return _QUOTED.sub("…", text).strip()
