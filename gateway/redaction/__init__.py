"""Takes personal data and secrets out of texts that an operator wants written down.

Rules find what has a form. They do not find names, addresses, or a secret without one: whoever switches content on
still keeps personal data.
"""

from gateway.redaction.patterns import PatternRefused, check_pattern
from gateway.redaction.redactor import Redactor
from gateway.redaction.rules import BUILT_IN, Rule

__all__ = ["BUILT_IN", "PatternRefused", "Redactor", "Rule", "check_pattern"]
