"""Cost: for whoever pays."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.parts import Part, Q, dashboard, graph, number, part
from dashboards.promql import gauge, or_zero, rate, recorded

_HOUR = " * 3600"
_BACKEND = 'backend=~"$backend"'
_CACHED, _INPUT, _REASONING, _OUTPUT = (
    f'sort="{sort}", {_BACKEND}' for sort in ("cached", "input", "reasoning", "output")
)
_WINDOW = "tenant, window_s"
_FORECAST = recorded("thalamus:tenant_cost_dollars:forecast30d")
_BUDGET = recorded("thalamus:budget_dollars:per30d")
_TENANT, _DONE = 'tenant=~"$tenant"', 'outcome="done"'


def cost() -> Dashboard:
    """Build it."""
    reader = "For whoever pays: what is spent, by whom, and what the router saves."
    return dashboard(
        "cost", "Cost", reader, ("cluster", "tenant", "backend"), _figures(), _where_it_goes(), _what_the_router_saves()
    )


def _figures() -> Part:
    return part(
        "",
        number(
            "Spent per hour",
            "As planned. Prices are the configuration's.",
            Q(rate("thalamus_cost_dollars_total") + _HOUR),
            "currencyUSD",
            width=6,
        ),
        number(
            "Saved per hour",
            "Against everything on the deep tier; estimated.",
            Q(rate("thalamus_saved_dollars_total") + _HOUR),
            "currencyUSD",
            width=6,
        ),
        number(
            "Thirty days at this pace",
            "Under the budgets of all tenants together.",
            Q(f"sum ({recorded('thalamus:cost_dollars:forecast30d')})"),
            "currencyUSD",
            width=6,
        ),
        number(
            "Of its budget, at this pace",
            "Under 100 %, of the tenant that comes closest. Tenants without a limit of dollars have no budget.",
            Q(f"max ({_FORECAST} / on (cluster, tenant) {_BUDGET})"),
            "percentunit",
            warn=1,
            width=6,
        ),
    )


def _where_it_goes() -> Part:
    return part(
        "Where it goes",
        graph(
            "Spend by backend, per hour",
            "Mostly the deep backends', by few requests. A fast one that leads is used for what should be cached.",
            Q(rate("thalamus_cost_dollars_total", "backend", _BACKEND) + _HOUR, "{{backend}}"),
            unit="currencyUSD",
            is_stacked=True,
        ),
        graph(
            "Spend by tenant, per hour",
            "No surprise. For the exact account use thalamus usage.",
            Q(
                f"topk(10, {rate('thalamus_tenant_cost_dollars_total', 'tenant', _TENANT)}{_HOUR})",
                "{{tenant}}",
            ),
            unit="currencyUSD",
            is_stacked=True,
        ),
        graph(
            "Dollars per thousand requests",
            "Level. A rise at an even share of deep means longer answers or more thinking.",
            Q(f"1000 * {rate('thalamus_cost_dollars_total')} / {rate('thalamus_requests_total', where=_DONE)}"),
            unit="currencyUSD",
        ),
        graph(
            "Tokens per second by sort",
            "Level with the requests. A rise of reasoning alone means more effort than before.",
            Q(rate("thalamus_tokens_total", "sort", _BACKEND), "{{sort}}"),
        ),
        graph(
            "Share of input from the backends' prefix caches",
            "High where conversations are long; it falls when they lose their replica.",
            Q(
                f"({rate('thalamus_tokens_total', 'backend', _CACHED)} "
                f"or 0 * {rate('thalamus_tokens_total', 'backend', _INPUT)}) / "
                f"{rate('thalamus_tokens_total', 'backend', _INPUT)}",
                "{{backend}}",
            ),
            unit="percentunit",
        ),
        graph(
            "Share of output that is reasoning",
            "What deep is paid for. Near all of it: the effort is too high for these questions.",
            Q(
                f"{rate('thalamus_tokens_total', 'backend', _REASONING)} / "
                f"{rate('thalamus_tokens_total', 'backend', _OUTPUT)}",
                "{{backend}}",
            ),
            unit="percentunit",
        ),
    )


def _what_the_router_saves() -> Part:
    return part(
        "What the router saves",
        graph(
            "Share saved",
            "Level. Less than half of the week's: ThalamusSavingsCollapsed.",
            Q(recorded("thalamus:saved:share_rate6h"), "6 h"),
            Q(recorded("thalamus:saved:share_rate7d"), "7 d"),
            unit="percentunit",
        ),
        graph(
            "Saved, and paid in excess, per hour",
            "The second is small. It rises where cascades pay twice.",
            Q(rate("thalamus_saved_dollars_total") + _HOUR, "saved"),
            Q(rate("thalamus_overspent_dollars_total") + _HOUR, "in excess"),
            unit="currencyUSD",
        ),
        graph(
            "Budgets met, usage not written",
            "0. Budgets: talk to the caller. Usage: the disk or Redis is away; it is tried again.",
            Q(rate("thalamus_limit_refusals_total", "scope", 'unit="dollars"'), "budget of a {{scope}}"),
            Q(or_zero(rate("thalamus_ledger_failures_total")), "usage not written"),
            unit="ops",
        ),
        graph(
            "Forecast of thirty days, by tenant",
            "Below the tenant's own line; above it: ThalamusSpendOverBudget.",
            Q(f"topk(10, {_FORECAST})", "{{tenant}}"),
            Q(_BUDGET, "budget of {{tenant}}"),
            unit="currencyUSD",
        ),
        graph(
            "Spent of the budget, now",
            "Under 100 %; at it the tenant's requests get 429.",
            Q(
                f"topk(10, {gauge('thalamus_tenant_budget_spent_dollars', _WINDOW, _TENANT, 'max')} / "
                f"{gauge('thalamus_tenant_budget_dollars', _WINDOW, _TENANT, 'max')})",
                "{{tenant}}, {{window_s}} s",
            ),
            unit="percentunit",
        ),
        graph(
            "Second answers and their judge, per hour",
            "Under shadow.budget_usd_per_day, a twenty-fourth of it on average. In no other figure of cost.",
            Q(rate("thalamus_shadow_cost_dollars_total", "backend", _BACKEND) + _HOUR, "{{backend}}"),
            unit="currencyUSD",
            is_stacked=True,
        ),
    )
