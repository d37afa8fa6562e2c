"""Panels and variables of Grafana, with what all dashboards here have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Literal

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models import prometheus as prometheus_models

SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")

# Without a namespace in Kubernetes, there is no such label: `.*` selects that, too.
TARGET = 'namespace=~"$namespace",job=~"$job",instance=~"$instance"'
SERVICE = f'{TARGET},grpc_service=~"$service"'
METHOD = f'{SERVICE},grpc_method=~"$method"'

# What is recorded for a service has no instance.
RECORDED = 'namespace=~"$namespace",job=~"$job",grpc_service=~"$service"'

POD = "{{pod}} {{instance}}"
BY_POD = "namespace, job, instance, pod"

Unit = Literal["reqps", "ops", "percentunit", "s", "short", "bytes", "none", "cps", "bool_yes_no"]
Kind = Literal["graph", "stat", "heatmap"]


@dataclass(frozen=True)
class Query:
    """An expression, and how its series are called."""

    expr: str
    legend: str
    exemplars: bool = False


@dataclass(frozen=True)
class Threshold:
    """From this value on, the colour."""

    value: float | None
    colour: str


@dataclass(frozen=True)
class Panel:
    """A panel. Its description says what it shows, and what to do."""

    title: str
    description: str
    unit: Unit
    queries: Sequence[Query]
    kind: Kind = "graph"
    width: int = 12  # of 24
    thresholds: Sequence[Threshold] = ()
    least: float | None = 0
    most: float | None = None

    def build(self, number: int) -> Builder[models.Panel]:
        """`number` identifies the panel in its dashboard."""
        match self.kind:
            case "graph":
                return self._graph().id(number)
            case "stat":
                return self._stat().id(number)
            case "heatmap":
                return self._heatmap().id(number)

    @property
    def _targets(self) -> list[prometheus.Dataquery]:
        form = prometheus_models.PromQueryFormat
        return [
            prometheus.Dataquery()
            .datasource(SOURCE)
            .expr(one.expr)
            .legend_format(one.legend)
            .exemplar(one.exemplars)
            .range()
            .format(form.HEATMAP if self.kind == "heatmap" else form.TIME_SERIES)
            .ref_id(letter)
            for letter, one in zip(ascii_uppercase, self.queries, strict=False)
        ]

    @property
    def _steps(self) -> builders.ThresholdsConfig:
        steps = self.thresholds or (Threshold(None, "green"),)
        return (
            builders.ThresholdsConfig()
            .mode(models.ThresholdsMode.ABSOLUTE)
            .steps([models.Threshold(value=one.value, color=one.colour) for one in steps])
        )

    def _graph(self) -> timeseries.Panel:
        legend = common_builders.VizLegendOptions()
        legend.display_mode(common.LegendDisplayMode.TABLE).placement(common.LegendPlacement.BOTTOM)
        legend.calcs(["mean", "max", "lastNotNull"]).show_legend(show_legend=True)
        tooltip = common_builders.VizTooltipOptions()
        tooltip.mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        panel = timeseries.Panel().title(self.title).description(self.description).datasource(SOURCE)
        panel.unit(self.unit).span(self.width).height(8).targets(list(self._targets))
        panel.legend(legend).tooltip(tooltip).fill_opacity(10).line_width(1)
        panel.show_points(common.VisibilityMode.NEVER).thresholds(self._steps)
        if self.thresholds:
            lines = common_builders.GraphThresholdsStyleConfig()
            panel.thresholds_style(lines.mode(common.GraphThresholdsStyleMode.DASHED))
        if self.least is not None:
            panel.min(self.least)
        if self.most is not None:
            panel.max(self.most)
        return panel

    def _stat(self) -> stat.Panel:
        last = common_builders.ReduceDataOptions().calcs(["lastNotNull"])
        panel = stat.Panel().title(self.title).description(self.description).datasource(SOURCE)
        panel.unit(self.unit).span(self.width).height(4).targets(list(self._targets)).reduce_options(last)
        return panel.thresholds(self._steps).graph_mode(common.BigValueGraphMode.AREA)

    def _heatmap(self) -> heatmap.Panel:
        colours = heatmap.HeatmapColorOptions().mode(heatmap_models.HeatmapColorMode.SCHEME)
        colours.scheme("Oranges").steps(64)
        panel = heatmap.Panel().title(self.title).description(self.description).datasource(SOURCE)
        panel.span(self.width).height(10).targets(list(self._targets)).color(colours)
        panel.calculate(calculate=False).exemplars_color("rgba(31, 120, 193, 0.9)").unit(self.unit)
        return panel.y_axis(heatmap.YAxisConfig().unit(self.unit))


@dataclass(frozen=True)
class Row:
    """Panels under one title."""

    title: str
    panels: Sequence[Panel]


def variables(metric: str) -> list[Builder[models.VariableModel]]:
    """The variables of a dashboard; `metric` has their values."""
    chosen = 'namespace=~"$namespace"'
    job = f'{chosen},job=~"$job"'
    service = f'{job},grpc_service=~"$service"'
    methods = (
        _variable("service", "The full name of a gRPC service.", f"{metric}{{{job}}}, grpc_service"),
        _variable("method", "Methods of those services.", f"{metric}{{{service}}}, grpc_method"),
    )
    datasource = builders.DatasourceVariable("datasource").label("Data source").type("prometheus")
    namespace = _variable("namespace", "The namespace in Kubernetes.", f"{metric}, namespace")
    return [
        datasource.description("The Prometheus that scrapes the servers."),
        namespace.all_value(".*"),
        _variable("job", "The release: the name of its objects.", f"{metric}{{{chosen}}}, job"),
        _variable("instance", "The address of a pod.", f"{metric}{{{job}}}, instance"),
        *methods,
    ]


def _variable(name: str, words: str, values: str) -> builders.QueryVariable:
    query = f"label_values({values})"
    variable = builders.QueryVariable(name).label(name.title()).description(words).datasource(SOURCE)
    variable.query(query).definition(query).multi(multi=True).include_all(include_all=True)
    variable.all_value(".+").refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
    variable.current(models.VariableOption(selected=True, text="All", value="$__all"))
    return variable.sort(models.VariableSort.ALPHABETICAL_ASC)
