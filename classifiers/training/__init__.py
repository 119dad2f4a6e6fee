"""Trains, judges and writes bundles; nothing here is imported when serving."""
