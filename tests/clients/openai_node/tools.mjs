// Tools: calls, parallel calls, choices and the loop around them.

import assert from 'node:assert/strict';
import { zodFunction } from 'openai/helpers/zod';
import { z } from 'zod';
import { ask, bodySeen, check, client, user } from './world.mjs';

const BOTH = 'What are the weather and the time in Paris?';
const Weather = z.object({ city: z.string(), metric: z.boolean() });
const Time = z.object({ city: z.string() });
const TOOLS = [
  zodFunction({ name: 'GetWeather', parameters: Weather, function: () => 'GetWeather: 21' }),
  zodFunction({ name: 'GetTime', parameters: Time, function: () => 'GetTime: 21' }),
];

const calls = async (fields) => (await ask({ tools: TOOLS, ...fields })).choices[0].message.tool_calls ?? [];
const names = (called) => called.map((call) => call.function.name);

check('a tool is called with arguments that parse', async () => {
  const [choice] = (await ask({ messages: user('How is the weather?'), tools: TOOLS })).choices;
  assert.equal(choice.finish_reason, 'tool_calls');
  assert.equal(choice.message.content, null);
  assert.deepEqual(names(choice.message.tool_calls), ['GetWeather']);
  Weather.parse(JSON.parse(choice.message.tool_calls[0].function.arguments));
  assert.deepEqual((await bodySeen()).tools, JSON.parse(JSON.stringify(TOOLS)));
});

check('tools are called in parallel', async () => {
  const called = await calls({ messages: user(BOTH), parallel_tool_calls: true });
  assert.deepEqual(names(called), ['GetWeather', 'GetTime']);
  assert.notEqual(called[0].id, called[1].id);
});

check('parallel tool calls can be switched off', async () => {
  assert.equal((await calls({ messages: user(BOTH), parallel_tool_calls: false })).length, 1);
});

check('a tool choice forces, names and forbids', async () => {
  const named = { type: 'function', function: { name: 'GetTime' } };
  assert.deepEqual(names(await calls({ tool_choice: 'auto' })), []);
  assert.deepEqual(names(await calls({ tool_choice: 'none', messages: user(BOTH) })), []);
  assert.deepEqual(names(await calls({ tool_choice: 'required' })), ['GetWeather']);
  assert.deepEqual(names(await calls({ tool_choice: named })), ['GetTime']);
});

check('a tool loop ends in words', async () => {
  for (const stream of [false, true]) {
    const runner = client().chat.completions.runTools({ model: 'auto', messages: user(BOTH), tools: TOOLS, stream });
    assert.match(await runner.finalContent(), /GetTime: 21$/);
    const roles = (await bodySeen()).messages.map((message) => message.role);
    assert.deepEqual(roles, ['user', 'assistant', 'tool', 'tool']);
  }
});

check('a stream of tool calls adds up', async () => {
  const called = [];
  let finish;
  for await (const { choices } of await ask({ messages: user(BOTH), tools: TOOLS, stream: true })) {
    finish = choices[0].finish_reason ?? finish;
    for (const part of choices[0].delta.tool_calls ?? []) {
      called[part.index] ??= { name: '', arguments: '' };
      called[part.index].name += part.function.name ?? '';
      called[part.index].arguments += part.function.arguments ?? '';
    }
  }
  assert.equal(finish, 'tool_calls');
  assert.deepEqual(called.map((call) => call.name), ['GetWeather', 'GetTime']);
  Weather.parse(JSON.parse(called[0].arguments));
  Time.parse(JSON.parse(called[1].arguments));
});

check('the tool helper gathers parsed arguments', async () => {
  const answer = await client().chat.completions.parse({ model: 'auto', messages: user(BOTH), tools: TOOLS });
  const parsed = answer.choices[0].message.tool_calls.map((call) => call.function.parsed_arguments);
  Weather.parse(parsed[0]);
  Time.parse(parsed[1]);
  const done = [];
  const stream = client()
    .chat.completions.stream({ model: 'auto', messages: user(BOTH), tools: TOOLS })
    .on('tool_calls.function.arguments.done', (call) => done.push(call));
  await stream.done();
  assert.deepEqual(done.map((call) => call.name), ['GetWeather', 'GetTime']);
  Weather.parse(done[0].parsed_arguments);
});
