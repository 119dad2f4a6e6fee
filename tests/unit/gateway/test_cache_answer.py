"""The form in which answers lie in the store: compact, sealed if asked, and refused when it is not theirs."""

import os

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.answer import Answer, AnswerCodec, AnswerTooLarge, Frame, Kept, Unreadable

KEY = "tc1:{0123}:ab"
SECRET = bytes(range(32))
TEXT = "The sky is blue because of Rayleigh scattering. 天空是蓝色的。".encode() * 40
ANSWER = Answer(200, "application/json", TEXT, (Frame(0, b"data: {}\n\n"), Frame(17, b"data: [DONE]\n\n")))
KEPT = Kept(ANSWER, 1000.0, 4600.0)

CODECS = {
    "plain": AnswerCodec(max_bytes=1_000_000, compress=False),
    "compressed": AnswerCodec(max_bytes=1_000_000),
    "sealed": AnswerCodec(max_bytes=1_000_000, compress=False, encryption_key=SECRET),
    "compressed and sealed": AnswerCodec(max_bytes=1_000_000, encryption_key=SECRET),
}
frames = st.builds(Frame, st.integers(0, 10**7), st.binary(max_size=50))
answers = st.builds(Answer, st.integers(200, 599), st.text(max_size=20), st.binary(max_size=2000), st.tuples(frames))


@pytest.mark.parametrize("name", CODECS)
@given(answer=answers, times=st.tuples(st.floats(0, 1e10), st.floats(0, 1e10)), key=st.text(min_size=1))
def test_an_answer_comes_back_as_it_was(name: str, answer: Answer, times: tuple[float, float], key: str):
    kept = Kept(answer, *times)
    assert CODECS[name].decode(key, CODECS[name].encode(key, kept)) == kept


def test_larger_answers_are_compressed_and_small_ones_left_alone():
    compressed = CODECS["compressed"]
    assert len(compressed.encode(KEY, KEPT)) < len(TEXT) / 4
    assert b"short body" in compressed.encode(KEY, Kept(Answer(200, "", b"short body"), 0, 1))


def test_sealed_bytes_show_nothing_and_differ_each_time():
    one, other = (CODECS["sealed"].encode(KEY, KEPT) for _ in range(2))
    assert one != other
    assert b"Rayleigh" not in one
    assert KEY.encode() not in one


@pytest.mark.parametrize("name", CODECS)
def test_a_value_under_another_key_is_unreadable(name: str):
    """So that a store that mixes up two tenants' values gives neither the other's answer."""
    value = CODECS[name].encode(KEY, KEPT)
    with pytest.raises(Unreadable):
        CODECS[name].decode("tc1:{4567}:ab", value)


@pytest.mark.parametrize("written", CODECS)
@pytest.mark.parametrize("read", CODECS)
def test_sealed_and_unsealed_values_are_not_taken_for_each_other(written: str, read: str):
    value = CODECS[written].encode(KEY, KEPT)
    if ("sealed" in written) == ("sealed" in read):
        assert CODECS[read].decode(KEY, value) == KEPT
    else:
        with pytest.raises(Unreadable, match="sealed"):
            CODECS[read].decode(KEY, value)


def test_a_value_sealed_with_another_key_is_unreadable():
    value = CODECS["sealed"].encode(KEY, KEPT)
    with pytest.raises(Unreadable, match="seal"):
        AnswerCodec(max_bytes=1_000_000, encryption_key=os.urandom(32)).decode(KEY, value)


@pytest.mark.parametrize("name", ["sealed", "compressed and sealed"])
def test_any_flipped_bit_of_a_sealed_value_is_noticed(name: str):
    value = CODECS[name].encode(KEY, KEPT)
    for position in range(len(value)):
        damaged = bytearray(value)
        damaged[position] ^= 1 << (position % 8)
        with pytest.raises(Unreadable):
            CODECS[name].decode(KEY, bytes(damaged))


@pytest.mark.parametrize("name", CODECS)
@given(noise=st.binary(max_size=200))
def test_noise_is_unreadable_and_nothing_worse(name: str, noise: bytes):
    for value in (noise, b"\x01\x00" + noise, b"\x01\x01" + noise, b"\x01\x02" + noise, b"\x01\x03" + noise):
        with pytest.raises(Unreadable):
            CODECS[name].decode(KEY, value)


def test_every_cut_of_a_value_is_unreadable():
    for codec in CODECS.values():
        value = codec.encode(KEY, KEPT)
        for length in (0, 1, 2, 5, 13, 20, len(value) // 2, len(value) - 1):
            with pytest.raises(Unreadable):
                codec.decode(KEY, value[:length])


def test_an_answer_larger_than_allowed_is_refused_however_well_it_compresses():
    with pytest.raises(AnswerTooLarge):
        AnswerCodec(max_bytes=10_000).encode(KEY, Kept(Answer(200, "", b"x" * 10_000), 0, 1))


def test_a_value_that_would_unpack_to_more_than_allowed_is_not_unpacked():
    bomb = b"\x01\x01" + zstandard.ZstdCompressor().compress(b"\x00" * 50_000_000)
    assert len(bomb) < 10_000
    with pytest.raises(Unreadable, match="size"):
        AnswerCodec(max_bytes=1_000_000).decode(KEY, bomb)
