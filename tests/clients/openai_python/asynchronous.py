"""The asynchronous client, over httpx and over aiohttp."""

import asyncio
from contextlib import suppress

import openai
from pydantic import BaseModel
from world import check, options, same, seen, standin, user, wait_until_left, wait_until_reached


class Place(BaseModel):
    city: str


@check("the asynchronous client answers, streams and parses")
async def answers() -> None:
    async with openai.AsyncOpenAI(**options()) as client:
        await _answers_and_streams(client)
        parsed = await client.chat.completions.parse(model="auto", messages=user("Where?"), response_format=Place)
        same(type(parsed.choices[0].message.parsed), Place)
        async with client.chat.completions.stream(model="auto", messages=user("Hi there")) as stream:
            final = await stream.get_final_completion()
        assert final.choices[0].message.content.endswith("Hi there"), final
        listed = [model.id async for model in client.models.list()]
        assert "auto" in listed, listed


@check("the asynchronous client runs fifty requests side by side")
async def side_by_side() -> None:
    async with openai.AsyncOpenAI(**options()) as client:

        async def ask(number: int) -> None:
            answer = await client.chat.completions.create(
                model="auto", messages=user(f"Number {number}"), extra_body=standin(first_byte_ms=100)
            )
            assert answer.choices[0].message.content.endswith(f"Number {number}"), answer

        await asyncio.gather(*(ask(number) for number in range(50)))
    same(len(seen()), 50)


@check("the asynchronous client over aiohttp answers and streams")
async def over_aiohttp() -> None:
    async with openai.AsyncOpenAI(**options(http_client=openai.DefaultAioHttpClient())) as client:
        await _answers_and_streams(client)


@check("leaving an asynchronous stream stops the backend")
async def leaving() -> None:
    async with openai.AsyncOpenAI(**options()) as client:
        stream = await client.chat.completions.create(
            model="auto", messages=user("Go on"), stream=True, extra_body=standin(token_ms=50, tokens=400)
        )
        await anext(stream)
        await stream.close()
        await asyncio.to_thread(wait_until_left)


@check("cancelling an asynchronous request stops the backend")
async def cancelling() -> None:
    async with openai.AsyncOpenAI(**options()) as client:
        request = asyncio.create_task(
            client.chat.completions.create(
                model="auto", messages=user("Wait"), extra_body=standin(first_byte_ms=20_000)
            )
        )
        await asyncio.to_thread(wait_until_reached)
        request.cancel()
        with suppress(asyncio.CancelledError):
            await request
        await asyncio.to_thread(wait_until_left)


async def _answers_and_streams(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="auto", messages=user("Hello there"))
    assert answer.choices[0].message.content.endswith("Hello there"), answer
    said = ""
    async for chunk in await client.chat.completions.create(model="auto", messages=user("Hello there"), stream=True):
        said += chunk.choices[0].delta.content or ""
    same(said, answer.choices[0].message.content)
