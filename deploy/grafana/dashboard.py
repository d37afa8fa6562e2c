"""A dashboard of Grafana, as the JSON that Grafana loads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from deploy.checkout import project
from deploy.grafana.panels import Row, variables
from deploy.identity import uid


@dataclass(frozen=True)
class Dashboard:
    """A dashboard, and the metric whose labels its variables choose from."""

    name: str  # of its file, and in its identifier
    title: str
    description: str
    metric: str
    rows: Sequence[Row]

    @property
    def json(self) -> str:
        links = builders.DashboardLink("Dashboards").type(models.DashboardLinkType.DASHBOARDS)
        links.tags([project()]).include_vars(include_vars=True).keep_time(keep_time=True)
        board = builders.Dashboard(f"{project()} / {self.title}").uid(uid(self.name))
        board.description(self.description).tags([project(), "grpc"]).link(links)
        board.readonly().tooltip(models.DashboardCursorSync.CROSSHAIR).timezone("browser")
        board.time("now-1h", "now").refresh("30s").variables(variables(self.metric))
        number = count(1)
        for row in self.rows:
            board.with_row(builders.Row(row.title).id(next(number)))
            for panel in row.panels:
                board.with_panel(panel.build(next(number)))
        built = json.loads(json.dumps(board.build(), cls=JSONEncoder))
        for link in built["links"]:
            del link["placement"]  # the SDK knows only that of a menu, where nobody finds them
        return json.dumps(built, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
