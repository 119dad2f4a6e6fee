"""A stand-in backend: a strict OpenAI-compatible server that says what reached it and can be told to misbehave.

Every test and benchmark uses it, and `thalamus mock` runs it. Nothing else of the gateway is imported here.
"""

from gateway.standin.app import create_standin
from gateway.standin.behaviour import Behaviour, Fault, Framing, SwitchError, adjusted
from gateway.standin.server import RunningStandin, running_standin, serve

__all__ = [
    "Behaviour",
    "Fault",
    "Framing",
    "RunningStandin",
    "SwitchError",
    "adjusted",
    "create_standin",
    "running_standin",
    "serve",
]
