"""The benchmark: `python -m tests.bench`, described in docs/benchmarks.md."""
