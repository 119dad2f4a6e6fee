"""Conversations that were read a moment ago: a request that comes again is not judged by the model a second time.

Answers from the cache, retries and regenerated answers ask the very same words again. Reading them is a pure function,
so that what is remembered can never be out of date; only the session, the limits and the load are looked at anew.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

from classifiers.heuristic import HeuristicModel
from classifiers.types import Conversation, DifficultyModel
from router.signals import Reading, read_conversation

MOST = 2048
"""Readings kept, the least recently used leave first; each is about a kilobyte and holds none of the words."""

LONGEST = 100_000
"""Characters of a conversation beyond which it is read anew each time: what reading costs does not grow any further,
and what a digest of all its words costs does."""


class Readings:
    """Readings by tenant and a digest of the conversation: nobody can tell by the time what another tenant asked.

    For one model only, and for one thread.
    """

    def __init__(self, model: DifficultyModel, most: int = MOST) -> None:
        self._model = model
        self._most = most
        self._readings: OrderedDict[bytes, Reading] = OrderedDict()

    def read(self, tenant: str, conversation: Conversation) -> Reading:
        """Give the reading of a conversation, from memory if it was read before."""
        if sum(len(turn.text) for turn in conversation.turns) > LONGEST:
            return read_conversation(conversation, self._model)
        key = _digest(tenant, conversation)
        known = self._readings.get(key)
        if known is not None:
            self._readings.move_to_end(key)
            return known
        reading = read_conversation(conversation, self._model)
        if reading.estimate.model != HeuristicModel.name:  # what stood in for a model that failed is asked again
            self._readings[key] = reading
            if len(self._readings) > self._most:
                self._readings.popitem(last=False)
        return reading


def _digest(tenant: str, conversation: Conversation) -> bytes:
    """Digest all that is read. Lengths are in it, so that no two conversations run into one."""
    heads = [f"{len(tenant)}:{tenant}:{conversation.tools}"]
    heads += [f"{turn.role}:{len(turn.text)}" for turn in conversation.turns]
    digest = blake2b("\0".join(heads).encode("utf-8", "surrogatepass"), digest_size=16)
    for turn in conversation.turns:
        digest.update(turn.text.encode("utf-8", "surrogatepass"))
    return digest.digest()
