"""These tests install gigabytes: they are collected by ``make conformance-vllm`` alone."""

import os

collect_ignore = [] if os.environ.get("THALAMUS_VLLM") else ["test_real_vllm.py"]
