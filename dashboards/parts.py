"""What all dashboards are made of: panels with a description, variables, links, and marks of what changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from grafana_foundation_sdk.builders.common import StackingConfig, VizLegendOptions, VizTooltipOptions
from grafana_foundation_sdk.builders.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.heatmap import Panel as Heatmap
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as Timeseries
from grafana_foundation_sdk.models.common import (
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

TAG = "thalamus"
SOURCE = DataSourceRef("prometheus", "${datasource}")
Panel = Timeseries | Stat | Heatmap
Unit = Literal["short", "s", "percentunit", "reqps", "currencyUSD", "none", "ops"]

VARIABLES = {
    "cluster": "label_values(thalamus_build_info, cluster)",
    "tenant": "label_values(thalamus_tenant_cost_dollars_total, tenant)",
    "tier": 'label_values(thalamus_requests_total{cluster=~"$cluster"}, tier)',
    "backend": 'label_values(thalamus_attempts_total{cluster=~"$cluster"}, backend)',
}
"""What can be chosen at the top; "all" also takes series that lack the label, as those of a single cluster do."""


_LEGEND = VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)


@dataclass(frozen=True, slots=True)
class Q:
    """One query of a panel: an expression in PromQL and how its lines are called."""

    expr: str
    legend: str = ""


def graph(
    title: str, good: str, *queries: Q, unit: Unit = "short", width: int = 8, is_stacked: bool = False
) -> Timeseries:
    """Draw lines over time. `good` says what good looks like, and what to do when it does not."""
    panel = (
        Timeseries()
        .title(title)
        .description(good)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .span(width)
        .height(8)
        .fill_opacity(40 if is_stacked else 8)
        .legend(_LEGEND)
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if is_stacked:
        panel = panel.stacking(StackingConfig().mode(StackingMode.NORMAL))
    for query in queries:
        panel = panel.with_target(Dataquery().expr(query.expr).legend_format(query.legend).range())
    return panel


def number(title: str, good: str, query: Q, unit: Unit = "short", *, warn: float | None = None, width: int = 3) -> Stat:
    """Show one number; from `warn` on (below it, where `warn` is negative: at ``-warn``) it is red."""
    steps = [Threshold(None, "green")]
    if warn is not None:
        steps = [Threshold(None, "red"), Threshold(-warn, "green")] if warn < 0 else [*steps, Threshold(warn, "red")]
    return (
        Stat()
        .title(title)
        .description(good)
        .datasource(SOURCE)
        .unit(unit)
        .span(width)
        .height(4)
        .thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        .with_target(Dataquery().expr(query.expr).legend_format(query.legend).range())
    )


def heat(title: str, good: str, query: Q, *, width: int = 8) -> Heatmap:
    """Show how a histogram's shape moves over time; the query gives its buckets by `le`."""
    target = Dataquery().expr(query.expr).legend_format("{{le}}").format(PromQueryFormat.HEATMAP).range()
    panel = Heatmap().title(title).description(good).datasource(SOURCE).span(width).height(8)
    return panel.with_target(target)


@dataclass(frozen=True, slots=True)
class Part:
    """A row of a dashboard and what is below it; without a title, what stands above the first row."""

    title: str
    panels: tuple[Panel, ...]


def part(title: str, *panels: Panel) -> Part:
    """Give a part of a dashboard."""
    return Part(title, panels)


def dashboard(uid: str, title: str, reader: str, variables: tuple[str, ...], *parts: Part) -> Dashboard:
    """Make a dashboard: its parts, variables, links to the others, marks of deploys and of changes of the bundle.

    Args:
        uid: the end of its address, and the name of its file.
        title: what it is called.
        reader: who it is for, as its description.
        variables: names in `VARIABLES`.
        parts: what it shows, from the top.
    """
    begun = (
        Dashboard(f"Thalamus: {title}")
        .uid(f"thalamus-{uid}")
        .description(reader)
        .tags([TAG])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .link(
            DashboardLink("Thalamus").type(DashboardLinkType.DASHBOARDS).tags([TAG]).include_vars(True).keep_time(True)
        )
    )
    for name in variables:
        begun = begun.with_variable(_variable(name))
    for name, metric, label, colour in (
        ("Deploys", "thalamus_build_info", "version", "blue"),
        ("Bundle changes", "thalamus_difficulty_model_info", "model", "orange"),
    ):
        begun = begun.annotation(
            AnnotationQuery()
            .name(name)
            .datasource(SOURCE)
            .enable(True)
            .icon_color(colour)
            .expr(appeared(metric, label))
        )
    for each in parts:
        begun = begun.with_row(Row(each.title)) if each.title else begun
        for panel in each.panels:
            begun = begun.with_panel(panel)
    return begun


def appeared(metric: str, label: str) -> str:
    """Give the expression that holds while a value of `label` is there that was not there two minutes before."""
    now = f'max by ({label}) ({metric}{{cluster=~"$cluster"}})'
    before = f'max by ({label}) ({metric}{{cluster=~"$cluster"}} offset 2m)'
    return f"{now} unless {before}"


def _variable(name: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(name.capitalize())
        .query(VARIABLES[name])
        .datasource(SOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)
        .all_value(".*")
        .multi(True)
    )
