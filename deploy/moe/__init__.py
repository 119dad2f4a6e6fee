"""MoE backends on vLLM and SGLang: what they need, and their manifests."""
