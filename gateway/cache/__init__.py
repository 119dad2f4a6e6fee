"""Stored answers: keys that isolate, a store that may fail, and replay in either form. Knows no web framework."""
