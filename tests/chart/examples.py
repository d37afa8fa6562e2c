"""The examples of the chart's README, by their titles."""

import re
from typing import Any

import yaml

from tests.support.chart import CHART

README = (CHART / "README.md").read_text()
EXAMPLES: dict[str, dict[str, Any]] = {
    title: yaml.safe_load(block)
    for title, block in re.findall(r"^### (.+?)\n\n```yaml\n(.*?)```", README, flags=re.MULTILINE | re.DOTALL)
}
