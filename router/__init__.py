"""The decision: pure code, no web, no network."""
