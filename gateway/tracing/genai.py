"""Names of OpenTelemetry's GenAI conventions, as of November 2026 (status: development).

They have moved from the general conventions into a repository of their own, open-telemetry/semantic-conventions-genai;
its page on spans refers to version 1.41.1 of the general ones. What has no name there is called ``thalamus.…``.
"""

from __future__ import annotations

from collections.abc import Mapping

_OPERATIONS: Mapping[str, str] = {
    "chat/completions": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "responses": "chat",
}
_PROVIDERS: Mapping[str, str] = {
    "azure": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "moonshot": "moonshot_ai",
    "xai": "x_ai",
}


def operation_of(path: str) -> str:
    """Give `gen_ai.operation.name` for a path below a backend's base URL."""
    return _OPERATIONS.get(path, path)


def provider_of(host: str) -> str:
    """Give `gen_ai.provider.name` for a host as dialects name it; those without a well-known name keep ours."""
    return _PROVIDERS.get(host, "openai" if host == "*" else host)
