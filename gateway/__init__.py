"""The HTTP edge: the only room that knows FastAPI, httpx, litellm and Redis."""
