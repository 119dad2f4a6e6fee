"""Headers that keep browsers from making more of an answer than it is."""

from __future__ import annotations

from starlette.types import Message, Send

ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
"""For pages as well."""

FOR_DATA = [*ALWAYS, (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")]
"""For answers that no browser should render: nothing in them may load or run anything.

`strict-transport-security` is for whoever ends TLS.
"""


def secured(send: Send) -> Send:
    """Add the headers to whatever the framework answers; pages keep the content policy that they set themselves."""

    async def send_secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message.setdefault("headers", [])
            is_page = any(name == b"content-type" and value.startswith(b"text/html") for name, value in headers)
            message["headers"] = [*headers, *(ALWAYS if is_page else FOR_DATA)]
        await send(message)

    return send_secured
