"""Which settings the status page shows, and that it shows no secret."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from annotated_types import Interval

from app.core.environment import read
from app.core.section import Parser, Section, setting, settings_of
from app.core.shown_setting import ShownSetting, shown_settings
from app.core.value_type import value_types
from app.database.database_settings import DatabaseSettings
from app.settings import FRAME, load
from tests.support.servers.probe import PROBE


class StoreSettings(Section):
    store_url: str = setting("", "where the store is, with its password")
    store_file: Path | None = setting(None, "a file")
    store_parsed: Annotated[int, Parser(int, "a number")] = setting(3, "a number that is parsed")
    store_names: tuple[str, ...] = setting((), "names")
    store_label: str = setting("none", "a label", shown=True)
    store_size: Annotated[int, Interval(ge=1)] = setting(3, "how many")
    store_wait: float = setting(0.5, "seconds")
    store_on: bool = setting(False, "whether")
    store_mode: Literal["a", "b"] = setting("a", "a or b")


def shown(section: type[Section], **variables: str) -> dict[str, ShownSetting]:
    mistakes: list[str] = []
    given = read(section, variables, mistakes)
    assert mistakes == []
    return {one.variable: one for one in shown_settings(given, given)}


def test_numbers_booleans_and_words_of_a_list_are_shown() -> None:
    given = {"APP_STORE_SIZE": "7", "APP_STORE_WAIT": "1.5", "APP_STORE_ON": "true", "APP_STORE_MODE": "b"}
    found = shown(StoreSettings, **given)
    assert {name: found[name].value for name in given} == given
    assert not any(found[name].default for name in given)


@pytest.mark.parametrize("name", ["APP_STORE_URL", "APP_STORE_FILE", "APP_STORE_PARSED"])
def test_a_text_is_not_shown_unless_its_field_permits_it(name: str) -> None:
    assert shown(StoreSettings, **{name: "12345"})[name] == (name, None, False)


def test_a_text_is_shown_if_its_field_permits_it() -> None:
    assert shown(StoreSettings, APP_STORE_LABEL="x")["APP_STORE_LABEL"] == ("APP_STORE_LABEL", "x", False)


def test_defaults_are_shown_as_the_variables_would_have_them() -> None:
    found = shown(StoreSettings)
    assert [one.value for one in found.values()] == ["", "", "3", "", "none", "3", "0.5", "false", "a"]
    assert all(one.default for one in found.values())


def test_a_variable_with_the_default_as_its_value_is_not_marked_as_set() -> None:
    assert shown(StoreSettings, APP_STORE_SIZE="3")["APP_STORE_SIZE"].default


def test_what_follows_from_other_settings_is_shown_as_it_is_in_force() -> None:
    found = {one.variable: one for some in load({}, (PROBE,)).shown().values() for one in some}
    assert found["APP_REFLECTION"] == ("APP_REFLECTION", "true", True)
    assert found["APP_SERVICES"] == ("APP_SERVICES", "probe.Probe", True)
    assert found["APP_AUTH_MODE"] == ("APP_AUTH_MODE", "none", True)


def test_the_texts_of_the_frame_that_are_shown_are_these() -> None:
    found = set()
    for section in FRAME.values():
        kinds = value_types(section)
        for name, field in settings_of(section).items():
            text = kinds[name].parser is not None or kinds[name].schema.get("type") in {"string", "array"}
            if text and field.metadata["shown"]:
                found.add(name)
    assert found == {
        "APP_LISTEN",
        "APP_METRICS_LISTEN",
        "APP_SERVICES",
        "APP_TLS_CERT_FILE",
        "APP_TLS_KEY_FILE",
        "APP_TLS_CLIENT_CA_FILE",
        "APP_AUTH_TOKENS_FILE",
        "APP_JWT_ALGORITHMS",
        "APP_JWT_KEYS_FILE",
        "APP_JWT_ISSUER",
        "APP_JWT_AUDIENCE",
    }  # not: the URL of keys, whose query may have a secret, and who may call what


@pytest.mark.parametrize(
    ("listen", "page"),
    [
        ("127.0.0.1:9464", "full"),
        ("localhost:9464", "full"),
        ("0.0.0.0:9464", "none"),
        ("127.0.0.1:9464,10.0.0.1:9464", "none"),
    ],
)
def test_the_page_is_on_where_every_address_of_the_metrics_port_is_loopback(listen: str, page: str) -> None:
    assert load({"APP_METRICS_LISTEN": listen}, (PROBE,)).server.status_page == page


@pytest.mark.parametrize("page", ["full", "no-details", "none"])
def test_the_page_is_on_elsewhere_if_the_variable_says_so(page: str) -> None:
    given = {"APP_METRICS_LISTEN": "0.0.0.0:9464", "APP_STATUS_PAGE": page}
    assert load(given, (PROBE,)).server.status_page == page


def test_the_url_of_the_database_is_not_shown() -> None:
    url = "postgresql://me:s3cr3t@host/items"
    found = shown(DatabaseSettings, APP_DATABASE_URL=url, APP_DATABASE_POOL_SIZE="3")
    assert found["APP_DATABASE_URL"].value is None
    assert found["APP_DATABASE_POOL_SIZE"].value == "3"
