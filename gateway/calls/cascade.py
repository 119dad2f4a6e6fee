"""Fast first: the fast answer is held and checked, and where it fails the deep tier answers instead of it.

The caller sees one answer. A failed check costs the fast call and its time, which the record counts beside the answer's
own. Whatever goes wrong with the check itself, the request is answered as it would have been without one.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from typing import cast

import msgspec

from gateway.cache.answer import Answer as KeptAnswer
from gateway.cache.replay import JSON_TYPE, paced, replay
from gateway.calls.answer_check import Finding, check_answer, read_text, read_verdict, without_logprobs
from gateway.calls.forward import Errand, decision_headers, forward
from gateway.calls.held import ErrandOf, held
from gateway.errors import UpstreamError, UpstreamRefused
from gateway.exchange import Call, Reply, StreamReply
from gateway.records.accounting import Record, Spending
from gateway.wire.body import Parsed, parse
from gateway.wire.chat import ChatRequest
from router.types import AnswerCheck, Decision, Escalation, Reason, Step, Target, Tier

SELF_CHECK_TIMEOUT_S = 10.0
"""After this the answer is shown without the model's word on it."""

_SELF_CHECK_TOKENS = 16
_HAN = re.compile(r"[\u4e00-\u9fff]")
_QUESTION = (
    "Check your answer above against what was asked, silently. Is it correct and complete? "
    "Reply with one word only: yes or no."
)
_QUESTION_ZH = "请在心里核对你上面的回答是否正确、完整地答复了问题。只用一个字回答：是或否。"

_CHECK_FIELD = "thalamus_check"
"""Stands for the check in the cache's key, so that an answer kept under it has passed."""


@dataclass(slots=True)
class _Inspection:
    """Reads the fast answer when it is whole. One from the cache is not read: it has passed before."""

    check: AnswerCheck
    hide_logprobs: bool
    finding: Finding | None = None

    def __call__(self, body: bytes) -> bytes:
        self.finding = check_answer(body, self.check)
        return without_logprobs(body) if self.hide_logprobs else body


async def forward_chat(
    call: Call, decision: Decision, chat: Parsed[ChatRequest], errand_of: ErrandOf
) -> Reply | StreamReply:
    """Give the answer to a chat request, checked first where the decision says so.

    Raises:
        UpstreamError: nobody answered, or a backend refused the request.
    """
    if decision.escalation is None:
        return await forward(call, decision, errand_of(chat, decision.raise_max_tokens))
    return await _Cascade(call, decision, decision.escalation, chat, errand_of).serve()


@dataclass(frozen=True, slots=True)
class _Cascade:
    """One request being cascaded."""

    call: Call
    decision: Decision
    escalation: Escalation
    chat: Parsed[ChatRequest]
    errand_of: ErrandOf

    async def serve(self) -> Reply | StreamReply:
        decision, inspection = self.decision, _Inspection(self.escalation.check, not self.chat.typed.logprobs)
        fast = tuple(target for target in decision.targets if target.tier in (Tier.FAST, Tier.FAST_MINI))
        try:
            reply = await _fetch(self.call, replace(decision, targets=fast), self._probe(inspection))
        except UpstreamRefused:  # perhaps only what the probe adds to the request: log-probabilities, a cap
            return await self._forward_unchecked(decision)
        except UpstreamError:
            rest = tuple(target for target in decision.targets if target not in fast)
            if not rest:
                raise
            return await self._forward_unchecked(replace(decision, targets=rest, reason=Reason.FALLBACK))
        finding = await self._judge(reply, inspection)
        return self._as_asked(reply) if finding.passes else await self._escalate(reply, finding)

    async def _forward_unchecked(self, decision: Decision) -> Reply | StreamReply:
        return await forward(self.call, decision, self.errand_of(self.chat, decision.raise_max_tokens))

    def _probe(self, inspection: _Inspection) -> Errand:
        """Write the errand for an answer that is held: whole, and with log-probabilities from whoever has them."""
        cap = self._probe_cap()
        plain = self.errand_of(held(self.chat), cap)
        telling = self.errand_of(held(self.chat, logprobs=True), cap) if self.escalation.check.min_confidence else plain
        return replace(
            plain,
            fields={**self.chat.fields, _CHECK_FIELD: msgspec.Raw(msgspec.json.encode(self.escalation.check))},
            prepare=lambda backend, target: (telling if backend.settings.abilities.logprobs else plain).prepare(
                backend, target
            ),
            inspect=inspection,
        )

    def _probe_cap(self) -> int | None:
        raised, probe = self.decision.raise_max_tokens, self.escalation.check.probe_tokens
        asked = raised or self.chat.typed.max_completion_tokens or self.chat.typed.max_tokens
        if probe is None or (asked is not None and asked <= probe):
            return raised
        return probe

    async def _judge(self, reply: Reply, inspection: _Inspection) -> Finding:
        """Say whether the answer may be shown, and keep the finding in the record."""
        finding, record = inspection.finding, self.call.record
        if finding is None:  # from the cache
            return Finding.OK
        text = read_text(reply.body)
        if finding.passes and self.escalation.check.self_check and text and record.target is not None:
            finding = await self._ask_itself(record.target, text)
        record.attempts[-1] = replace(record.attempts[-1], check=finding.value)
        return finding

    async def _ask_itself(self, target: Target, answer: str) -> Finding:
        """Ask the model that answered if its answer is right. Never raises for want of a verdict."""
        record = Record(self.call.record.endpoint, trace=self.call.record.trace)
        question = self.errand_of(_self_check(self.chat, answer), None)
        try:
            async with asyncio.timeout(SELF_CHECK_TIMEOUT_S):
                reply = await _fetch(
                    replace(self.call, record=record), replace(self.decision, targets=(target,)), question
                )
        except (UpstreamError, TimeoutError):
            return Finding.NO_VERDICT
        finally:
            self.call.record.upstream_s += record.upstream_s
            if record.usage is not None:
                self.call.record.besides.append(Spending(target.backend, record.usage))
        return read_verdict(read_text(reply.body))

    async def _escalate(self, fast: Reply, finding: Finding) -> Reply | StreamReply:
        """Let the deep tier answer; where it cannot, a doubtful answer is better than none."""
        record = self.call.record
        before = (record.target, record.usage, record.thinking, record.cache, record.besides)
        if record.target is not None and record.usage is not None:
            record.besides = [*record.besides, Spending(record.target.backend, record.usage)]
        record.usage = None
        record.decision = self._escalated(finding)
        try:
            return await self._forward_unchecked(record.decision)
        except UpstreamError:
            if finding is Finding.UNREADABLE:
                raise
        record.target, record.usage, record.thinking, record.cache, record.besides = before
        record.decision = self.decision
        return self._as_asked(fast)

    def _escalated(self, finding: Finding) -> Decision:
        """Give the decision as it stands once the fast answer has failed."""
        decision, targets = self.decision, self.escalation.targets
        step = Step("cascade check", f"{decision.targets[0].backend}: {finding}", f"goes {targets[0].tier}")
        return replace(
            decision,
            tier=targets[0].tier,
            targets=targets,
            reason=Reason.CASCADE,
            effort=targets[0].effort,
            steps=(*decision.steps, step),
            raise_max_tokens=self.escalation.raise_max_tokens,
            escalation=None,
        )

    def _as_asked(self, reply: Reply) -> Reply | StreamReply:
        """Give the answer that was held, as a stream where the caller wants one."""
        record, typed = self.call.record, self.chat.typed
        headers = {**reply.headers, **decision_headers(self.decision, record)}
        if not typed.stream:
            return replace(reply, headers=headers)
        options = typed.stream_options
        frames = replay(KeptAnswer(200, JSON_TYPE, reply.body), usage_asked=bool(options and options.include_usage))
        record.stream, record.first_token_s = True, record.since_start()
        return StreamReply(b"", paced(frames, "full"), headers, reply.after)


async def _fetch(call: Call, decision: Decision, errand: Errand) -> Reply:
    """Forward an errand that is no stream."""
    return cast("Reply", await forward(call, decision, errand))


def _self_check(chat: Parsed[ChatRequest], answer: str) -> Parsed[ChatRequest]:
    """Write the question to a model whether the answer that it just gave is right."""
    messages = msgspec.json.decode(chat.fields["messages"], type=list[msgspec.Raw])
    asked = [
        {"role": "assistant", "content": answer},
        {"role": "user", "content": _QUESTION_ZH if _HAN.search(answer) else _QUESTION},
    ]
    cap = "max_completion_tokens" if chat.typed.max_completion_tokens is not None else "max_tokens"
    request = {
        "model": chat.typed.model,
        "messages": [*messages, *asked],
        "temperature": 0,
        cap: _SELF_CHECK_TOKENS,
    }
    return parse(msgspec.json.encode(request), ChatRequest)
