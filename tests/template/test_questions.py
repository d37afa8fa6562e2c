"""The questions, and what is refused as a project's name."""

import re
from importlib.metadata import distributions

import pytest

from deploy import checkout
from deploy.template.page import table
from deploy.template.questions import Question
from deploy.template.repository import asked
from tests.docs.pages import Page

KEYS = ["project", "description", "owner", "registry", "license", "service", "package", "examples"]
ASKED = asked()


WRONG = {
    "project": ["app", "otel", "2x", "a_b", "Bad Name", "a--b", "a-", "pytest", "grpcio", "no", "a" * 41, ""],
    "description": ["", 'a "service"', "x" * 101],
    "owner": ["", "a b", "@acme"],
    "registry": ["", "https://ghcr.io", "ghcr.io/Acme", "ghcr.io/acme/"],
    "license": ["GPL", ""],
    "service": ["stock", "StockService", "Import", "Rpc", "Greeter", "A" + 30 * "a", "Stock-Keeper"],
    "package": [
        "stock",
        "class.v1",
        "acme.message.v1",
        "Acme.v1",
        "acme.v0",
        "google.v1",
        "",
        "a" * 48 + ".v1",
    ],
    "examples": ["some", "quotes;greeter", "inventory", ""],
}
RIGHT = {
    "project": ["a", "stock-keeper", "s3-proxy", "a" * 40],
    "description": ["Bob's stock", "x" * 100, "Lager für Schrauben, Nägel: (alles)"],
    "owner": ["acme", "acme/the-team", "A1"],
    "registry": ["localhost", "localhost:5000/me", "ghcr.io/acme", "eu.gcr.io/p-1/r_2"],
    "license": ["MIT", "Proprietary"],
    "service": ["", "Stock", "StockKeeper", "S3Proxy", "A" + 29 * "a"],
    "package": ["stock.v1", "acme.shop.v1beta2", "a" * 47 + ".v1"],
    "examples": ["all", "none", "quotes", "quotes,greeter", "quotes, calculator, greeter"],
}


def question(key: str) -> Question:
    return next(one for one in ASKED if one.key == key)


@pytest.mark.parametrize(("key", "answer"), [(key, one) for key, these in WRONG.items() for one in these])
def test_wrong_answers_are_errors_that_name_the_key(key: str, answer: str) -> None:
    error = question(key).error(answer)
    assert error
    assert error.startswith(f"invalid {key} ")


@pytest.mark.parametrize(("key", "answer"), [(key, one) for key, these in RIGHT.items() for one in these])
def test_right_answers_are_none(key: str, answer: str) -> None:
    assert question(key).error(answer) is None


def test_the_keys_of_the_questions_are_those_that_scripts_use() -> None:
    assert [one.key for one in ASKED] == KEYS


def test_a_project_cannot_have_the_name_of_a_package_or_a_program_in_its_environment() -> None:
    taken = set()
    for one in distributions():
        taken.add(re.sub(r"[-_.]+", "-", one.name).lower())
        taken |= {script.name for script in one.entry_points if script.group == "console_scripts"}
    taken.discard(checkout.project())
    assert [name for name in sorted(taken) if question("project").error(name) is None] == []


def test_the_page_has_the_questions() -> None:
    page = Page("docs/fork.md")
    assert page.generated("questions") == table(ASKED), "run python -m deploy.template.page"


def test_a_default_without_an_expression_is_valid() -> None:
    def fixed(one: Question) -> bool:
        return "[" not in one.default

    assert [one.key for one in ASKED if fixed(one) and one.error(one.default)] == []
