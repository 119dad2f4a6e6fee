"""What was used and spent, by day, tenant, key, tier and model; it outlives processes. See docs/usage.md."""

from gateway.ledger.entries import Amounts, Entry, Place, entries_of
from gateway.ledger.ledger import Book, BookUnavailable, Ledger
from gateway.ledger.report import DIMENSIONS, Report, as_csv, summarise

__all__ = [
    "DIMENSIONS",
    "Amounts",
    "Book",
    "BookUnavailable",
    "Entry",
    "Ledger",
    "Place",
    "Report",
    "as_csv",
    "entries_of",
    "summarise",
]
