"""Structured outputs."""

import json
from enum import StrEnum

from pydantic import BaseModel
from world import body_seen, check, client, same, user


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Step(BaseModel):
    explanation: str
    output: float


class Solution(BaseModel):
    steps: list[Step]
    colour: Colour
    answer: int | None
    certain: bool


@check("a structured output parses into its type")
def parsed() -> None:
    answer = client().chat.completions.parse(model="auto", messages=user("Solve it"), response_format=Solution)
    message = answer.choices[0].message
    same(type(message.parsed), Solution)
    same(message.parsed, Solution.model_validate_json(message.content))
    wanted = body_seen()["response_format"]["json_schema"]
    same((wanted["name"], wanted["strict"]), ("Solution", True))


@check("a streamed structured output parses into its type")
def streamed() -> None:
    with client().chat.completions.stream(model="auto", messages=user("Solve it"), response_format=Solution) as stream:
        events = list(stream)
    (done,) = [event for event in events if event.type == "content.done"]
    same(type(done.parsed), Solution)
    same(stream.get_final_completion().choices[0].message.parsed, done.parsed)


@check("a JSON object is an object")
def json_object() -> None:
    answer = client().chat.completions.create(
        model="auto", messages=user("Answer in JSON"), response_format={"type": "json_object"}
    )
    same(type(json.loads(answer.choices[0].message.content)), dict)
