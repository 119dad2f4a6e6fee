"""The built-in rules: bounded quantifiers, a beginning that cannot be inside a match, a check where one exists.

Python's word boundary takes Chinese characters for letters and finds nothing in 我的手机13812345678, so that bounds are
written out for ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

Rule = Literal["email", "card", "key", "iban", "cn-id", "cn-mobile"]

_CARD_DIGITS = range(13, 20)


class Finder(NamedTuple):
    """Finds one kind of thing: a pattern, and whether what it matched is really one."""

    pattern: re.Pattern[str]
    is_one: Callable[[str], bool] = bool


def _passes_luhn(found: str) -> bool:
    """Check a card number's last digit (ISO/IEC 7812-1, annex B)."""
    digits = [int(char) for char in found if char.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return len(digits) in _CARD_DIGITS and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 and any(digits)


def _passes_mod_97(found: str) -> bool:
    """Check an IBAN's two check digits (ISO 13616, by ISO/IEC 7064)."""
    plain = found.replace(" ", "").upper()
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


_KEYS = "|".join(
    (
        r"sk-[A-Za-z0-9_\-]{16,256}",  # OpenAI, Anthropic, OpenRouter, DeepSeek, this gateway
        r"(?:xai|gsk|hf|glpat)[-_][A-Za-z0-9_\-]{16,256}",
        r"(?:ghp|gho|ghu|ghs|ghr|github_pat)_[A-Za-z0-9_]{20,256}",
        r"xox[abeoprs]-[A-Za-z0-9\-]{10,256}",
        r"AIza[A-Za-z0-9_\-]{35}",
        r"(?:AKIA|ASIA)[A-Z0-9]{16}",
        r"LTAI[A-Za-z0-9]{12,24}",
        r"eyJ[A-Za-z0-9_\-]{8,2048}\.eyJ[A-Za-z0-9_\-]{8,4096}\.[A-Za-z0-9_\-]{8,1024}",
        r"-----BEGIN [A-Z ]{0,24}PRIVATE KEY-----[A-Za-z0-9+/=\s]{0,8192}(?:-----END [A-Z ]{0,24}PRIVATE KEY-----)?",
    )
)

FINDERS: Mapping[Rule, Finder] = {
    "key": Finder(re.compile(rf"(?<![A-Za-z0-9])(?:{_KEYS})")),
    "email": Finder(
        re.compile(
            r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9._%+\-]{1,64}[@＠][A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){1,8}"
        )
    ),
    "iban": Finder(
        re.compile(
            r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?(?![A-Za-z0-9])"
        ),
        _passes_mod_97,
    ),
    # Six digits of a place, a date of birth, three in order, and a check digit (GB 11643-1999). A wrong check digit is
    # a typing error more often than another number.
    "cn-id": Finder(
        re.compile(
            r"(?<![0-9])[1-9][0-9]{5}"
            r"(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx](?![0-9])"
        )
    ),
    "cn-mobile": Finder(
        re.compile(r"(?<![0-9])(?:(?:\+|00)?86[ \-]?)?1[3-9][0-9][ \-]?[0-9]{4}[ \-]?[0-9]{4}(?![0-9])")
    ),
    # No card begins with 0, 1 or 7; times in milliseconds begin with 1.
    "card": Finder(re.compile(r"(?<![0-9])[2-689](?:[ \-]?[0-9]){12,18}(?![0-9])"), _passes_luhn),
}
"""In the order in which they are applied: what is surer goes first."""

BUILT_IN: tuple[Rule, ...] = tuple(FINDERS)
