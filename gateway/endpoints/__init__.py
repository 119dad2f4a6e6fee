"""One thin file per endpoint: parse, decide, call, answer."""
