"""Which answers are checked against the other tier's, and what that may cost."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.settings.base import Frozen, Name, Probability, Seconds


class ShadowSettings(Frozen):
    """Second answers from the other tier, behind the caller's back and bill, to learn whether the tier was right."""

    share: Probability = Field(
        0.0,
        description="share of routed requests that are sent to the other tier as well, once the caller has its answer: "
        "SENDS PROMPTS TO BACKENDS THAT DID NOT SERVE THEM; 0: none",
    )
    max_tokens: int = Field(4096, ge=16, description="longest second answer; one that is cut off is not compared")
    max_concurrency: int = Field(2, ge=1, le=256, description="second answers under way at once, in each process")
    budget_usd_per_day: Annotated[float, Field(ge=0)] = Field(
        1.0,
        description="dollars of a UTC day for them and their judge, shared out evenly to the workers; calls whose "
        "price is not known count as nothing",
    )
    timeout_s: Seconds = Field(300.0, description="after so long one is given up")
    judge: Name | None = Field(
        None, description="the backend that compares answers which no rule can; unset: those are not compared"
    )
    streams: bool = Field(False, description="check streamed answers as well; their second answers are whole")
    tools: bool = Field(False, description="check requests with tools as well; no tool is ever called")
