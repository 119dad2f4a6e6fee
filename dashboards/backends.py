"""Backends: every backend and replica, and the engines behind them."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.parts import Part, Q, dashboard, graph, part
from dashboards.promql import gauge, quantile, rate

_BACKEND = 'backend=~"$backend"'


def backends() -> Dashboard:
    """Build it."""
    reader = "For whoever runs the models: each replica, and what vLLM and SGLang say of themselves."
    return dashboard(
        "backends", "Backends", reader, ("cluster", "backend", "tier"), _as_the_gateway_sees_them(), _vllm(), _sglang()
    )


def _as_the_gateway_sees_them() -> Part:
    return part(
        "As the gateway sees them",
        graph(
            "Attempts",
            "As many as requests, and a few more: each more is a retry, a hedge or a fallback.",
            Q(rate("thalamus_attempts_total", "backend", _BACKEND), "{{backend}}"),
            unit="reqps",
        ),
        graph(
            "Attempts that failed",
            "Few. One replica against the others: a sick machine. All of them alike: a sick model, or ourselves.",
            Q(
                rate("thalamus_attempts_total", "backend, replica, error", f'error!="", {_BACKEND}'),
                "{{backend}}/{{replica}} {{error}}",
            ),
            unit="reqps",
        ),
        graph(
            "Replicas by condition",
            "All serving. `broken` for five minutes: ThalamusReplicaBroken. `cooling`: the provider said 429.",
            Q(gauge("thalamus_replica_condition", "condition", _BACKEND), "{{condition}}"),
            is_stacked=True,
        ),
        graph(
            "Time to first token, p95",
            "Flat. A rise on one backend alone is its queue: see its engine below.",
            Q(
                quantile(0.95, "thalamus_first_token_seconds", "backend, tier", f'{_BACKEND}, tier=~"$tier"'),
                "{{backend}} as {{tier}}",
            ),
            unit="s",
        ),
        graph(
            "Thinking before the answer, p50",
            "Of streams that show reasoning. A rise at an even effort: harder questions, or a slower backend.",
            Q(
                quantile(0.5, "thalamus_thinking_seconds", "backend, tier", f'{_BACKEND}, tier=~"$tier"'),
                "{{backend}} as {{tier}}",
            ),
            unit="s",
        ),
        graph(
            "Time per output token, p50",
            "10 to 50 ms. A rise at an even load: batches have grown, or the KV cache is short.",
            Q(
                quantile(0.5, "thalamus_output_token_seconds", "backend, tier", f'{_BACKEND}, tier=~"$tier"'),
                "{{backend}} as {{tier}}",
            ),
            unit="s",
        ),
        graph(
            "Time spent waiting for backends, p95",
            "Near the time of whole requests: the rest is the gateway's own and the line's.",
            Q(quantile(0.95, "thalamus_upstream_seconds", "backend", _BACKEND), "{{backend}}"),
            unit="s",
        ),
        graph(
            "Calls in flight by replica",
            "Even between replicas of one weight, but for conversations that stay where their prefix is.",
            Q(gauge("thalamus_replica_in_flight", "backend, replica", _BACKEND), "{{backend}}/{{replica}}"),
        ),
        graph(
            "Tokens in flight by replica",
            "Under what the replica's KV cache holds; estimated.",
            Q(gauge("thalamus_replica_tokens_in_flight", "backend, replica", _BACKEND), "{{backend}}/{{replica}}"),
        ),
        graph(
            "Hedges, retries, continuations",
            "Few. A purse that is often empty: the backend fails for longer than retries can hide.",
            Q(
                rate("thalamus_attempt_events_total", "what, backend, result", _BACKEND),
                "{{what}} {{backend}} {{result}}",
            ),
            unit="ops",
        ),
    )


def _vllm() -> Part:
    return part(
        "vLLM",
        graph(
            "vLLM: running and waiting",
            "None waiting for long. A line here and none at the gateway: lower max_concurrency, so that the gateway's "
            "priorities count.",
            Q(gauge("vllm:num_requests_running", "model_name"), "running {{model_name}}"),
            Q(gauge("vllm:num_requests_waiting", "model_name"), "waiting {{model_name}}"),
        ),
        graph(
            "vLLM: KV cache in use",
            "Under 90 %. Above it sequences are preempted and computed again.",
            Q(gauge("vllm:kv_cache_usage_perc", "model_name, engine", how="max"), "{{model_name}} {{engine}}"),
            unit="percentunit",
        ),
        graph(
            "vLLM: tokens per second",
            "Generation near what the machine was measured to give; prompts come in bursts. With data parallelism the "
            "engines' even shares are the balance.",
            Q(rate("vllm:generation_tokens_total", "model_name, engine"), "generated {{model_name}} {{engine}}"),
            Q(rate("vllm:prompt_tokens_total", "model_name, engine"), "prompt {{model_name}} {{engine}}"),
        ),
        graph(
            "vLLM: prefix cache hit rate",
            "High where conversations are long. A fall: they no longer return to their replica.",
            Q(
                f"{rate('vllm:prefix_cache_hits_total', 'model_name')} / "
                f"{rate('vllm:prefix_cache_queries_total', 'model_name')}",
                "{{model_name}}",
            ),
            unit="percentunit",
        ),
        graph(
            "vLLM: time to first token, p95",
            "Near the gateway's own panel above. Far below it: the time is lost in between.",
            Q(quantile(0.95, "vllm:time_to_first_token_seconds", "model_name"), "{{model_name}}"),
            unit="s",
        ),
        graph(
            "vLLM: preemptions",
            "0. Otherwise the KV cache is too small for so many sequences: fewer at once are faster.",
            Q(rate("vllm:num_preemptions_total", "model_name"), "{{model_name}}"),
            unit="ops",
        ),
    )


def _sglang() -> Part:
    return part(
        "SGLang",
        graph(
            "SGLang: running and waiting",
            "None waiting for long, as with vLLM.",
            Q(gauge("sglang:num_running_reqs", "model_name"), "running {{model_name}}"),
            Q(gauge("sglang:num_queue_reqs", "model_name"), "waiting {{model_name}}"),
        ),
        graph(
            "SGLang: KV cache in use",
            "Under 90 %.",
            Q(gauge("sglang:token_usage", "model_name", how="max"), "{{model_name}}"),
            unit="percentunit",
        ),
        graph(
            "SGLang: tokens per second",
            "The gauge is the engine's own figure; the counters are means over the window.",
            Q(gauge("sglang:gen_throughput", "model_name"), "generating {{model_name}}"),
            Q(rate("sglang:generation_tokens_total", "model_name"), "generated {{model_name}}"),
            Q(rate("sglang:prompt_tokens_total", "model_name"), "prompt {{model_name}}"),
        ),
        graph(
            "SGLang: radix cache hit rate",
            "High where conversations are long.",
            Q(gauge("sglang:cache_hit_rate", "model_name", how="avg"), "{{model_name}}"),
            unit="percentunit",
        ),
        graph(
            "SGLang: time to first token, p95",
            "Near the gateway's own.",
            Q(quantile(0.95, "sglang:time_to_first_token_seconds", "model_name"), "{{model_name}}"),
            unit="s",
        ),
        graph(
            "SGLang: balance of experts",
            "Near 1: expert-parallel ranks are loaded alike. Under 0.7 rebalance (EPLB). There with "
            "SGLANG_ENABLE_EPLB_BALANCEDNESS_METRIC alone.",
            Q(
                f"{rate('sglang:eplb_balancedness_sum', 'model_name')} / "
                f"{rate('sglang:eplb_balancedness_count', 'model_name')}",
                "{{model_name}}",
            ),
            unit="percentunit",
        ),
    )
