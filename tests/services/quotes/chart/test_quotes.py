"""The quotes' part of the chart: their ConfigMap, and how the server gets it.

`.venv/bin/python -m tests.services.quotes.chart.test_quotes` writes the golden file.
"""

from pathlib import Path
from typing import Any

import pytest

from app.core.name import NAME
from app.core.section import settings_of
from app.services.quotes import QUOTES
from app.services.quotes.quotes import parse_quotes
from tests.chart.chart import pod, refusal, rendered, variables, volumes
from tests.chart.golden import Cases, difference, file, write

GOLDEN = Path(__file__).with_name("golden")
VALUES: dict[str, Any] = {"quotes": {"text": "Well begun is half done. ~ Aristotle\n"}}
CASES: Cases = {"Quotes": VALUES}


@pytest.mark.parametrize("title", CASES)
def test_the_render_with_quotes_equals_its_golden_file(title: str) -> None:
    assert difference(CASES[title]) == file(GOLDEN, title).read_text()


def test_quotes_in_the_values_are_mounted_from_a_configmap_of_the_chart() -> None:
    objects = rendered(VALUES)
    content = objects[f"ConfigMap/{NAME}-quotes"]["data"]["quotes.txt"]
    assert content == VALUES["quotes"]["text"]
    assert len(parse_quotes(content.encode())) == 1
    assert volumes(objects)["/etc/quotes"]["configMap"]["name"] == f"{NAME}-quotes"
    assert variables(objects)["APP_QUOTES_FILE"] == "/etc/quotes/quotes.txt"


def test_the_chart_sets_every_setting_of_the_service() -> None:
    names = {name for name in variables(rendered(VALUES)) if name.startswith("APP_")}
    assert names - set(variables(rendered())) == set(settings_of(QUOTES.settings))


def test_an_existing_configmap_is_mounted_in_place_of_it() -> None:
    objects = rendered({"quotes": {"existingConfigMap": "mine"}})
    assert volumes(objects)["/etc/quotes"]["configMap"]["name"] == "mine"
    assert variables(objects)["APP_QUOTES_FILE"] == "/etc/quotes/quotes.txt"
    assert not any(name.startswith("ConfigMap/") for name in objects)


def test_without_quotes_in_the_values_the_server_reads_those_of_the_image() -> None:
    objects = rendered()
    assert "/etc/quotes" not in volumes(objects)
    assert "APP_QUOTES_FILE" not in variables(objects)


def test_the_whole_directory_is_mounted_read_only_so_that_changes_reach_running_pods() -> None:
    mount = volumes(rendered(VALUES))["/etc/quotes"]["mount"]
    assert "subPath" not in mount
    assert mount["readOnly"] is True


def test_a_change_of_the_quotes_restarts_no_pod() -> None:
    one, other = (pod(rendered({"quotes": {"text": text}})) for text in ("a ~ b", "c ~ d"))
    assert one == other


@pytest.mark.parametrize("release", ["a" * 53, NAME, "q"])
@pytest.mark.parametrize("override", ["", "b" * 63])
def test_the_name_of_the_configmap_is_short_enough_for_kubernetes(release: str, override: str) -> None:
    objects = rendered(VALUES | {"nameOverride": override}, release=release)
    [name] = [name.removeprefix("ConfigMap/") for name in objects if name.startswith("ConfigMap/")]
    assert len(name) <= 63


def test_two_sources_of_quotes_are_rejected() -> None:
    error = refusal({"quotes": {"text": "a ~ b", "existingConfigMap": "mine"}})
    assert "quotes.text and quotes.existingConfigMap are two sources of quotes" in error


if __name__ == "__main__":
    write(GOLDEN, CASES, difference)
