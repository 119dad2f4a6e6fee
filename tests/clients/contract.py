"""What every official SDK must be able to do through the gateway, by name; the scripts report under these names."""

from __future__ import annotations

CHAT = (
    "a plain answer has text, a finish reason and token counts",
    "the whole conversation reaches the backend as it was written",
    "n choices come back as n choices",
    "log probabilities come with each token",
    "sampling fields and fields of other vendors reach the backend",
    "an image and a sound reach a backend that can take them",
    "an image for a backend that cannot see is a bad request",
    "an answer that is cut says so",
    "reasoning effort is applied and reported",
    "Chinese and emoji survive both ways",
    "an alias serves like the model it stands for",
    "raw responses carry the decision in their headers",
    "a header chooses the tier",
)
STREAMING = (
    "a stream adds up to the plain answer",
    "a stream says nothing of usage unless asked",
    "a stream ends with usage when asked",
    "a stream of n choices keeps them apart",
    "a stream carries log probabilities",
    "a stream shows the reasoning",
    "a stream can be read line by line",
    "the stream helper gathers the final answer",
    "leaving a stream stops the backend",
    "a stream's headers carry the decision",
    "oddly framed and compressed streams read like any other",
)
TOOLS = (
    "a tool is called with arguments that parse",
    "tools are called in parallel",
    "parallel tool calls can be switched off",
    "a tool choice forces, names and forbids",
    "a tool loop ends in words",
    "a stream of tool calls adds up",
    "the tool helper gathers parsed arguments",
)
STRUCTURED = (
    "a structured output parses into its type",
    "a streamed structured output parses into its type",
    "a JSON object is an object",
)
OTHER_ENDPOINTS = (
    "a text completion continues its prompt",
    "a streamed text completion adds up",
    "text completions take many prompts, token ids and log probabilities",
    "embeddings come as numbers, decoded from base64",
    "embeddings take many inputs, dimensions and plain floats",
    "models are listed: the router, tiers, backends and aliases",
    "a model is described by its name",
)
ERRORS = (
    "a wrong key is an authentication error",
    "a key that may not use a model gets a permission error",
    "an unknown model is a not-found error everywhere",
    "a bad field is a bad request that names the field",
    "a body that is too large is a 413",
    "what the backend refuses is a bad request in the backend's words",
    "a rate limit is a rate-limit error, retried as often as asked",
    "a rate limit that passes is survived by a retry",
    "a failing backend is a server error, retried as often as asked",
    "a backend that cannot be reached is a server error",
    "a backend that is too slow is a server error",
    "a client's own timeout ends its request and the backend's",
    "a failure before the first event is an error of the call",
    "a stream that breaks raises in the iteration",
    "a stream in which the backend reports an error raises in the iteration",
    "a failed backend is routed around, and that is told",
)
ASYNCHRONOUS = (
    "the asynchronous client answers, streams and parses",
    "the asynchronous client runs fifty requests side by side",
    "the asynchronous client over aiohttp answers and streams",
    "leaving an asynchronous stream stops the backend",
    "cancelling an asynchronous request stops the backend",
)
RESPONSES = (
    "a response has text, usage and its decision",
    "a streamed response adds up to its final one",
    "the stream helper gathers the final response",
    "a response parses into a pydantic type",
    "a tool loop goes on by the previous response",
    "a tool loop goes on with encrypted reasoning alone",
    "a background response is polled until it is done",
    "a background response is cancelled and its backend left",
    "a response is deleted",
    "input items are listed, page by page",
    "what is wrong raises the SDK's own errors",
    "the asynchronous client answers and streams responses",
)

EVERY_SDK = CHAT + STREAMING + TOOLS + STRUCTURED + OTHER_ENDPOINTS + ERRORS
CHECKS = {
    "openai_python_2": EVERY_SDK + ASYNCHRONOUS,
    "openai_python_3": EVERY_SDK + ASYNCHRONOUS,
    "openai_python_responses": RESPONSES,
    "openai_node": EVERY_SDK,
}
