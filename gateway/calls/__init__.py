"""The calls of one request: who is asked, in which order, how a call goes, and what becomes of its answer."""
