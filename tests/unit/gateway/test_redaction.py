"""What redaction takes out of texts, in English and Chinese, and which patterns an operator may not have."""

import time

import pytest

from gateway.redaction import BUILT_IN, PatternRefused, Redactor, check_pattern
from gateway.settings import RedactionSettings

OPENAI_KEY = "sk-proj-" + "a1B2" * 8
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcDEF123456"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Write to ann.lee+x@mail.example.co.uk today.", "Write to [email] today."),
        ("请发到zhang_san@example.com，谢谢", "请发到[email]，谢谢"),
        ("a＠b is not, but ann＠example.com is", "a＠b is not, but [email] is"),
        ("Card 4111 1111 1111 1111, exp 12/27", "Card [card], exp 12/27"),
        ("卡号4111-1111-1111-1111，有效期", "卡号[card]，有效期"),
        ("银联卡6212345678901232。", "银联卡[card]。"),
        ("Amex 378282246310005", "Amex [card]"),
        (f"my key is {OPENAI_KEY}.", "my key is [key]."),
        (f"密钥是{OPENAI_KEY}，别外传", "密钥是[key]，别外传"),
        ("AKIAIOSFODNN7EXAMPLE and ghp_" + "x" * 36, "[key] and [key]"),
        (f"Authorization: Bearer {JWT}", "Authorization: Bearer [key]"),
        ("-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----", "[key]"),
        ("Pay to DE89 3704 0044 0532 0130 00 please", "Pay to [iban] please"),
        ("汇到GB82WEST12345698765432即可", "汇到[iban]即可"),
        ("我的手机13812345678，微信同号", "我的手机[cn-mobile]，微信同号"),
        ("Call +86 138-1234-5678 now", "Call [cn-mobile] now"),
        ("身份证11010519491231002X已核验", "身份证[cn-id]已核验"),
        ("ID 110105194912310021", "ID [cn-id]"),
    ],
)
def test_personal_data_and_keys_are_taken_out(text, told):
    assert Redactor()(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "Order 4111111111111112 is late",  # fails Luhn's check
        "at 1732665600000 ms since 1970",
        "订单号1381234567890123",
        "DE88370400440532013000 is no account",  # wrong check digits
        "sk-short is no key, and task-1234567890abcdef1234 is none either",
        "3.14159265358979, 2^64 = 18446744073709551616",
        "圆周率是3.1415926，共12345678901个",
        "@everyone look at foo@bar",
        "110105199913310021",  # no thirteenth month
    ],
)
def test_what_only_looks_like_it_stays(text):
    assert Redactor()(text) == text


def test_rules_can_be_chosen_and_texts_are_cut():
    assert Redactor(("email",))("ann@example.com 13812345678") == "[email] 13812345678"
    assert Redactor(max_chars=5)("0123456789") == "01234[5 characters left out]"


@pytest.mark.parametrize("place", [0, 4090, 4096, 8185, 20_000])
def test_an_own_pattern_is_found_wherever_it_lies(place):
    redact = Redactor((), {"case": r"\bCASE-[0-9]{4,8}\b"})
    assert redact("x" * place + " CASE-123456 " + "y" * 9000) == "x" * place + " [case] " + "y" * 9000


def test_an_own_pattern_gives_what_one_search_would():
    redact = Redactor((), {"a": r"a[bc]{0,200}d?"})
    text = ("abcbc" * 30 + "d " + "cab" * 7) * 200
    assert redact(text) == check_pattern(r"a[bc]{0,200}d?").sub("[a]", text)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a+)+$", "more than 256 characters"),
        (".*secret", "more than 256 characters"),
        ("(a{0,15}){0,15}b", "ways"),
        ("(a|a){0,30}b", "ways"),
        ("(a|ab)(c|bcd){0,40}e", "ways"),
        (r"\w{0,50}\w{0,50}\w{0,50}!", "ways"),
        (r"(\w{1,20})\1", "refers back"),
        ("(?<=x)(?=[a-z]*z)a", "bound"),
        ("x{0,3}", "empty text"),
        ("(unclosed", "no regular expression"),
    ],
)
def test_a_pattern_that_a_text_could_hold_up_is_refused(pattern, why):
    with pytest.raises(PatternRefused, match=why):
        check_pattern(pattern)
    with pytest.raises(ValueError, match="patterns"):
        RedactionSettings(patterns={"mine": pattern})


@pytest.mark.parametrize("pattern", [r"EMP-\d{4,8}", r"(?:case|ticket)[ #-]?\d{5}", r"(?i)项目代号[:：]\S{1,40}"])
def test_ordinary_patterns_are_taken(pattern):
    assert RedactionSettings(patterns={"mine": pattern}).patterns == {"mine": pattern}


@pytest.mark.parametrize(
    "unit", ["a", "1", "a.", "1-", "@a.", "sk-", "AA11 ", "eyJaaaaaaaa.", "-----BEGIN ", "138 ", "١"]
)
def test_built_in_rules_take_time_in_proportion(unit):
    """CPU time of this thread, with room for ten times what one text took: growth by the square would be 64 times."""
    redact = Redactor(BUILT_IN, max_chars=10**7)

    def seconds(text):
        started = time.thread_time()
        redact(text)
        return time.thread_time() - started

    short, long = unit * (8000 // len(unit)), unit * (64_000 // len(unit))
    assert min(seconds(long) for _ in range(3)) < 0.05 + 24 * min(seconds(short) for _ in range(3))
