"""OpenAI's Responses API over any backend.

`asking` writes a request and the conversation before it (`history`) as one chat completion; `answering` and `stream`
write the answer back as `items`. `keeping` remembers responses, `background` runs those that nobody waits for, and
`sealing` lets callers that keep nothing here carry the reasoning themselves.
"""
