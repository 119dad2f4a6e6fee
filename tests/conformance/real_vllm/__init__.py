"""The gateway before a real vLLM: opt-in, by ``make conformance-vllm``."""
