"""A kept answer and its form in the store: msgpack, compressed with zstd, sealed with AES-GCM. Never pickle."""

from __future__ import annotations

import os

import msgspec
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORMAT = 1
_COMPRESSED, _SEALED = 1, 2
_HEADER_BYTES, _NONCE_BYTES = 2, 12
_WORTH_COMPRESSING = 512
_LEVEL = 3


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """One server-sent event, from `data:` to the blank line, and its time after the stream's first event."""

    at_ms: int
    data: bytes


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """An answer in its plain form and, if it was streamed, as the events it came in."""

    status: int
    content_type: str
    body: bytes
    frames: tuple[Frame, ...] = ()


class _Record(msgspec.Struct, frozen=True, array_like=True):
    """What is in the store. The key guards against a store that gives one key's value for another."""

    key: str
    stored_at: float
    expires_at: float
    answer: Answer


class Kept(msgspec.Struct, frozen=True):
    """An answer as it came back, with the times (Unix seconds) between which it may be given."""

    answer: Answer
    stored_at: float
    expires_at: float


class Unreadable(Exception):
    """The stored bytes are not an answer to this key that this process could have written."""


class AnswerTooLarge(Exception):
    """The answer exceeds the largest size that is kept."""


class AnswerCodec:
    """Writes answers into bytes and reads them back.

    The two bytes before the content say its format and whether it is compressed and sealed. Sealed content is bound
    to these bytes and to its key, so that it cannot be moved to another tenant's key or passed off as unsealed.
    """

    def __init__(self, *, max_bytes: int, compress: bool = True, encryption_key: bytes | None = None) -> None:
        self._max_bytes = max_bytes
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL) if compress else None
        self._decompressor = zstandard.ZstdDecompressor()
        self._cipher = AESGCM(encryption_key) if encryption_key is not None else None
        self._write = msgspec.msgpack.Encoder().encode
        self._read = msgspec.msgpack.Decoder(_Record).decode

    def encode(self, key: str, kept: Kept) -> bytes:
        """Write an answer.

        Raises:
            AnswerTooLarge: it has more than `max_bytes`, uncompressed.
        """
        content = self._write(_Record(key, kept.stored_at, kept.expires_at, kept.answer))
        if len(content) > self._max_bytes:
            raise AnswerTooLarge
        flags = 0
        if self._compressor is not None and len(content) >= _WORTH_COMPRESSING:
            content = self._compressor.compress(content)
            flags |= _COMPRESSED
        if self._cipher is None:
            return bytes((_FORMAT, flags)) + content
        header = bytes((_FORMAT, flags | _SEALED))
        nonce = os.urandom(_NONCE_BYTES)
        return header + nonce + self._cipher.encrypt(nonce, content, header + key.encode())

    def decode(self, key: str, value: bytes) -> Kept:
        """Read an answer back.

        Raises:
            Unreadable: it is damaged, of another key, format or release, or sealed with another key, or not sealed
                although answers are.
        """
        header, content = value[:_HEADER_BYTES], value[_HEADER_BYTES:]
        if len(header) < _HEADER_BYTES or header[0] != _FORMAT:
            raise Unreadable("format")
        record = self._parse(self._decompress(header[1], self._unseal(key, header, content)))
        if record.key != key:
            raise Unreadable("another key's")
        return Kept(record.answer, record.stored_at, record.expires_at)

    def _unseal(self, key: str, header: bytes, content: bytes) -> bytes:
        sealed = bool(header[1] & _SEALED)
        if sealed != (self._cipher is not None):
            raise Unreadable("sealed" if sealed else "not sealed")
        if self._cipher is None:
            return content
        nonce, ciphertext = content[:_NONCE_BYTES], content[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, ciphertext, header + key.encode())
        except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
            raise Unreadable("seal") from None

    def _decompress(self, flags: int, content: bytes) -> bytes:
        if not flags & _COMPRESSED:
            return content
        try:
            # The size that the content claims is checked before that much memory is taken.
            if zstandard.frame_content_size(content) > self._max_bytes:
                raise Unreadable("size")
            return self._decompressor.decompress(content, max_output_size=self._max_bytes)
        except zstandard.ZstdError:
            raise Unreadable("compression") from None

    def _parse(self, content: bytes) -> _Record:
        try:
            return self._read(content)
        except msgspec.DecodeError:
            raise Unreadable("record") from None
