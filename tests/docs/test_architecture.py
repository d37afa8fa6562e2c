"""The chain and the picture of docs/architecture.md show the list of concerns of the program."""

import re
import xml.etree.ElementTree as ET

from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from app.auth.tokens import TokenVerifier
from app.interceptors.last_errors import LastErrors
from app.wiring import Telemetry, concerns
from tests.docs.pages import Page
from tests.support.servers.process import ROOT
from tests.support.servers.server import settings
from tests.unit.test_imports import LAYERS

PAGE = Page("docs/architecture.md")


def chain() -> list[str]:
    """The names of the concerns in the list of the composition root, with authentication: `access log`, …"""
    listed = concerns(
        settings(),
        (),
        Telemetry(CollectorRegistry(), TracerProvider(shutdown_on_exit=False), "id", errors=LastErrors()),
        verify=TokenVerifier(dict),
    )
    return [re.sub(r"(?<=\w)(?=[A-Z])", " ", type(concern).__name__).lower() for concern in listed]


def test_the_page_shows_the_chain_in_its_order() -> None:
    rows = re.findall(r"^\| ([^|]*?) \|", PAGE.section("## The chain"), flags=re.MULTILINE)
    assert rows[0] == "concern"
    assert rows[1:] == chain()


def test_the_page_shows_the_layers_of_the_packages_in_their_order() -> None:
    [shown] = [block.text for block in PAGE.blocks if block.language == "text"]
    assert [set(line.split(", ")) for line in shown.splitlines()] == LAYERS


def test_the_picture_shows_the_concerns_in_their_order() -> None:
    picture = ET.parse(ROOT / "docs" / "architecture.svg")  # noqa: S314 - of this repository
    texts = ["".join(one.itertext()) for one in picture.iter() if one.tag.endswith("}text")]
    accepting, starting = (text.split(" → ") for text in texts if " → " in text)
    silent = [
        "access log",
        "last errors",
        "unread replies",
        "errors",
    ]  # they do nothing before the end of a call
    assert [*accepting, *starting] == [name for name in chain() if name not in silent]
