"""One key as it is kept: whose it is, what it may, and digests of its tokens, which are shown once and never kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, Field

from gateway.settings import Frozen, KeyBounds

TOKEN_PREFIX = "sk-thalamus-"  # noqa: S105  what all our keys begin with, so that scanners of code find leaked ones
_SECRET_BYTES = 32
_SHOWN = 4


class KeyRefused(Exception):
    """A change of keys cannot be made; the message says why and what would do."""


class KeySecret(Frozen):
    """One bearer token of a key, as its digest. After a rotation there are two for a while."""

    sha256: str
    ends_with: str
    until: AwareDatetime | None = None


class KeyRecord(KeyBounds):
    """One key."""

    id: str
    secrets: tuple[KeySecret, ...]
    created: AwareDatetime
    revoked: AwareDatetime | None = None
    last_used: AwareDatetime | None = Field(None)

    def status(self, now: datetime | None = None) -> str:
        """Say whether it opens the gateway: active, expired or revoked."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and (now or datetime.now(UTC)) >= self.expires else "active"

    def shown(self) -> dict[str, object]:
        """Give what may be shown of it: all but the digests."""
        told = self.model_dump(mode="json", exclude={"secrets"}, exclude_defaults=True)
        ends = [{"ends_with": one.ends_with, "until": one.until and one.until.isoformat()} for one in self.secrets]
        return {"id": self.id, "status": self.status(), "tenant": self.tenant, **told, "secrets": ends}


def issue(records: Sequence[KeyRecord], bounds: KeyBounds) -> tuple[list[KeyRecord], KeyRecord, str]:
    """Make a key, and give all records, its own, and its token.

    Raises:
        KeyRefused: a key of that name opens the gateway already.
    """
    if any(record.name == bounds.name and record.status() == "active" for record in records):
        raise KeyRefused(f"there is a key {bounds.name!r} already; rotate it, revoke it, or choose another name")
    token, secret = _new_secret()
    record = KeyRecord(
        **bounds.model_dump(), id=f"key_{secrets.token_hex(6)}", secrets=(secret,), created=datetime.now(UTC)
    )
    return [*records, record], record, token


def rotate(records: Sequence[KeyRecord], which: str, overlap: timedelta) -> tuple[list[KeyRecord], KeyRecord, str]:
    """Give a key a new token; the old ones go on for `overlap`.

    Raises:
        KeyRefused: there is no such key, or it is revoked.
    """
    old, now = _find(records, which), datetime.now(UTC)
    if old.revoked is not None:
        raise KeyRefused(f"the key {which!r} is revoked; make a new one")
    ends = now + overlap
    kept = [
        one.model_copy(update={"until": ends if one.until is None else min(one.until, ends)})
        for one in old.secrets
        if one.until is None or one.until > now
    ]
    token, secret = _new_secret()
    record = old.model_copy(update={"secrets": (*(kept if overlap else ()), secret)})
    return _replaced(records, record), record, token


def revoke(records: Sequence[KeyRecord], which: str) -> tuple[list[KeyRecord], KeyRecord]:
    """Close a key for good. Its record stays, so that what it spent can be told.

    Raises:
        KeyRefused: there is no such key.
    """
    old = _find(records, which)
    record = old.model_copy(update={"revoked": old.revoked or datetime.now(UTC)})
    return _replaced(records, record), record


def touch(records: Sequence[KeyRecord], used: dict[str, float]) -> list[KeyRecord]:
    """Note when keys were last used (Unix seconds by id)."""
    return [
        record.model_copy(update={"last_used": max(filter(None, (record.last_used, _moment(used[record.id]))))})
        if record.id in used
        else record
        for record in records
    ]


def digest_of(token: str) -> str:
    """Give the digest under which a token is known. It is long and random, so that a plain hash cannot be guessed."""
    return hashlib.sha256(token.encode()).hexdigest()


def _new_secret() -> tuple[str, KeySecret]:
    token = TOKEN_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    return token, KeySecret(sha256=digest_of(token), ends_with=token[-_SHOWN:])


def _find(records: Iterable[KeyRecord], which: str) -> KeyRecord:
    """Find a key by id, else the one of that name that is not revoked."""
    found = [record for record in records if which in (record.id, record.name)]
    if not found:
        raise KeyRefused(f"there is no key {which!r}; `thalamus keys list` names them")
    return next((record for record in found if record.id == which or record.revoked is None), found[-1])


def _replaced(records: Iterable[KeyRecord], changed: KeyRecord) -> list[KeyRecord]:
    return [changed if record.id == changed.id else record for record in records]


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
