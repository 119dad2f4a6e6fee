"""Every dialect against a backend that behaves as its provider documents, refusals included."""
