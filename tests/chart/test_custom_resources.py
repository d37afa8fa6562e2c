"""Custom resources match the types of the projects that define them."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.chart.chart import rendered
from tests.chart.combinations import COMBINATIONS
from tests.chart.examples import EXAMPLES
from tests.chart.test_kubernetes import CUSTOM

PROGRAM = Path(sys.executable).with_name("custom-resources")

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="make chart builds tests/chart/custom")


def problems(objects: Iterable[Any]) -> str:
    lines = "".join(json.dumps(one) + "\n" for one in objects)
    done = subprocess.run([PROGRAM], input=lines, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


def test_every_custom_resource_matches_its_type() -> None:
    everything = [*COMBINATIONS, *EXAMPLES.values()]
    custom = [one for values in everything for one in rendered(values).values() if one["kind"] in CUSTOM]
    assert {one["kind"] for one in custom} == CUSTOM
    assert problems(custom) == ""


@pytest.mark.parametrize("kind", sorted(CUSTOM))
def test_an_unknown_field_of_a_custom_resource_is_found(kind: str) -> None:
    everything = [one for values in EXAMPLES.values() for one in rendered(values).values()]
    wrong = next(one for one in everything if one["kind"] == kind)
    wrong["spec"]["selectors"] = {}
    assert 'unknown field "selectors"' in problems([wrong])
