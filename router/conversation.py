"""What a conversation carries from one request to the next, and how much of a turn leans on what came before.

A conversation's difficulty rises at once and falls with hysteresis, tool loops stay with one model until the final
answer, and a change of tier must be worth reading the whole prefix again.
"""

from __future__ import annotations

import hashlib
import re

from classifiers.types import Conversation
from router.types import Session, Tier

LEAN_ALL, LEAN_SHORT, LEAN_LITTLE, LEAN_NONE = 1.0, 0.7, 0.2, 0.05
"""Share of the past difficulty that a turn keeps: one that refers, a short one, one that stands alone, a new topic."""

SHORT_CHARS = 100
"""A turn up to this length says little without what came before it. Chinese says as much in a third."""

SWITCH_MARGIN = {Tier.DEEP: 0.05, Tier.FAST: 0.1}
"""Difficulty beyond the threshold that a change to a tier needs at least: leaving deep gives up its thought."""

PREFIX_MARGIN = 0.15
"""What a change of tier needs besides, once the prefix to be read again is `LONG_PREFIX` tokens long."""

LONG_PREFIX = 50_000

_THANKS = re.compile(
    r"(?:many |ok(?:ay)?,? |great,? |perfect,? )*"
    r"(?:thanks(?: a lot| so much)?|thank you(?: so much)?|thx|cheers|got it|makes sense|perfect|great|awesome|"
    r"nice|bye|gracias|merci|danke|спасибо|ありがとう(?:ございます)?)\b"
    r"|(?:谢谢你?|多谢|感谢|谢啦|明白了?|懂了|太好了|不错|再见|收到)",
    re.IGNORECASE,
)
_ACKNOWLEDGING = re.compile(
    r"(?:ok(?:ay)?|alright|right|sure|good|cool|fine|well|hmm|vale|bien|gut|d'accord|хорошо|ладно|わかりました)\b"
    r"|(?:好的?|行|嗯|可以|没问题|那好)(?=[\s，,。.!！~、])",
    re.IGNORECASE,
)
_NEW_TOPIC = re.compile(
    r"(?:(?:one |and )?(?:last|more|other|different|another|unrelated|new) (?:thing|question|topic)|one more|unrelated|"
    r"by the way|btw|switching|changing (?:the )?(?:topic|subject)|something (?:else|different)|"
    r"otra cosa|autre chose|anderes thema|кстати|ところで|"
    r"换个话题|另外|顺便|对了|最后(?:一个)?(?:问题|再问)|再问(?:一个|你)|还有(?:一个|个)(?:问题|事)|说点别的|不相关)",
    re.IGNORECASE,
)
_REFERRING = re.compile(
    r"(?:yes|yep|yeah|no|go on|go ahead|continue|proceed|why|how so|how come|really|are you sure|and |but |"
    r"what about|what if|now |then |same |again|explain|elaborate|more|s[ií]|oui|ja|nein|да|нет|"
    r"warum|pourquoi|por qu[eé]|почему|дальше|はい|いいえ|なぜ|続けて)\b"
    r"|(?:是的?|对(?![方于面手])|不对?|继续|接着|然后|为什么|为何|怎么|那(?!帮|给|请|你帮)|如果|再|详细|展开|请继续|你确定)",
    re.IGNORECASE,
)
_RECALLING = re.compile(
    r"\b(?:what|when|where|who|which|how (?:much|many|long)) (?:was|were|did (?:you|i|we) say)\b.*\bagain\b"
    r"|来着[？?。\s]*$",
    re.IGNORECASE,
)
"""Asks to be reminded of something said before: that needs no thought, however hard the subject."""
_GAP = re.compile(r"[\W_]+")


def in_tool_loop(conversation: Conversation) -> bool:
    """Whether the request continues a tool loop: its last turn is a tool's result."""
    return bool(conversation.turns) and conversation.turns[-1].role == "tool"


def leaning(conversation: Conversation) -> float:
    """Say how much of the past difficulty the last user turn keeps, in [0, 1].

    Thanks and acknowledgements at its beginning are passed over: what follows them counts.
    Weakness: it reads openings and length. A short question on a new topic counts as leaning on the old one.
    """
    text = conversation.last_asked.strip()
    rest, thanked, agreed = _without_pleasantries(text)
    if not rest:
        return LEAN_ALL if agreed and not thanked else 0.0
    if _NEW_TOPIC.match(rest):
        return LEAN_NONE
    if _RECALLING.search(rest[-2 * SHORT_CHARS :]):
        return LEAN_LITTLE
    length = len(rest) + 2 * sum(1 for character in rest[: 3 * SHORT_CHARS] if character > "\u2e80")
    if length <= 2 * SHORT_CHARS and _REFERRING.match(rest):
        return LEAN_ALL
    if thanked:
        return LEAN_LITTLE
    return LEAN_SHORT if length <= SHORT_CHARS else LEAN_LITTLE


def _without_pleasantries(text: str) -> tuple[str, bool, bool]:
    """Give what follows thanks and acknowledgements, and whether there were any of each."""
    thanked = agreed = False
    place = 0
    while place < len(text):
        if gap := _GAP.match(text, place):
            place = gap.end()
        if found := _THANKS.match(text, place):
            thanked = True
        elif found := _ACKNOWLEDGING.match(text, place):
            agreed = True
        else:
            break
        place = found.end()
    return text[place:].strip(), thanked, agreed


def carried_difficulty(estimated: float, session: Session | None, lean: float) -> float:
    """Combine a turn's own difficulty with the conversation's: up at once, down by what does not lean."""
    if session is None or estimated >= session.difficulty:
        return estimated
    return estimated + lean * (session.difficulty - estimated)


def switch_margin(session: Session | None, towards: Tier, prefix_tokens: int) -> float:
    """Difficulty by which a change of tier must clear the threshold, for the prefix that is read again.

    None is asked when the tier does not change, or when there is no conversation yet.
    """
    if session is None or session.tier is towards:
        return 0.0
    return SWITCH_MARGIN.get(towards, SWITCH_MARGIN[Tier.FAST]) + PREFIX_MARGIN * min(1.0, prefix_tokens / LONG_PREFIX)


def fingerprint(conversation: Conversation) -> str:
    """Name a conversation by how it began, for clients that name it in no other way.

    Two conversations of one tenant that begin with the same words share a name until their histories are told
    apart by the client; what they then share is a hint about difficulty, never content.
    """
    digest = hashlib.blake2b(digest_size=16)
    for turn in conversation.turns:
        digest.update(turn.role.encode())
        digest.update(turn.text[:4096].encode(errors="replace"))
        digest.update(b"\0")
        if turn.role == "user":
            break
    return digest.hexdigest()
