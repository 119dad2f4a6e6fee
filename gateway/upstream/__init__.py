"""Calls to backends: OpenAI-compatible over HTTP, through litellm, or the model in the box."""
