"""Runs the stand-in as the benchmark's upstream: `python -m tests.bench.upstream PORT`."""

import sys

from gateway.standin import Behaviour, serve

if __name__ == "__main__":
    serve(Behaviour(tokens=30), port=int(sys.argv[1]))
