"""The README: its length, its first commands, and its proofs."""

import re
import subprocess

from tests.docs.pages import Page
from tests.support.outcomes.table import TABLE
from tests.support.servers.process import ROOT

README = Page("README.md")


def test_the_readme_has_at_most_150_lines() -> None:
    assert len(README.text.splitlines()) <= 150


def test_the_readme_links_to_every_page() -> None:
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")}
    assert pages - set(README.links) == set()


def test_the_first_two_commands_are_run_and_test_and_run_starts_the_server() -> None:
    first = next(block for block in README.blocks if block.language == "sh")
    assert re.findall(r"^(make \w+)", first.text, flags=re.MULTILINE) == ["make run", "make test"]
    recipe = subprocess.run(
        ["make", "-n", "run"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert ".venv/bin/python -m app serve" in recipe
    targets = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in ("setup", "run", "test", "interop", "lint", "gen", "image", "e2e"):
        assert re.search(rf"^{name} +\w", targets, flags=re.MULTILINE), targets


def proofs() -> list[list[str]]:
    """The rows of the table of proofs: claim, number and command."""
    rows = [line for line in README.section("## Proofs").splitlines() if line.startswith("| ")]
    return [row.strip("| ").split(" | ") for row in rows[1:]]


def test_every_proof_has_a_number_and_a_target_of_make() -> None:
    assert len(proofs()) == 6
    for _, number, command in proofs():
        assert re.search(r"\d", number)
        assert re.fullmatch(r"`make [a-z0-9-]+`", command)


def test_every_number_of_a_proof_stands_on_the_page_of_its_results() -> None:
    updates, deaths, shares, cases, cost, overload = (number for _, number, _ in proofs())
    cluster = Page("docs/kubernetes.md").section("## Measured on a cluster")
    performance = Page("docs/performance.md").text
    for event, number in {"ten rolling updates": updates, "two processes that die at once": deaths}.items():
        [(failed, calls)] = re.findall(rf"^\| {event}[^|]*\| (\S+) \| (\S+) \|$", cluster, flags=re.MULTILINE)
        assert number.startswith(f"{failed} of {calls} calls failed")
    assert shares.split()[0] in cluster
    combinations = sum(len(case.methods) for case in TABLE)
    assert cases.startswith(f"{combinations} cases: {len(TABLE)} events")
    ours, usual = re.findall(
        r"^\| (?:this server|the usual stack[^|]*) \| (\S+)", performance, flags=re.MULTILINE
    )
    assert re.findall(r"\d\.\d+", cost) == [ours, usual]
    assert overload.split(",")[0].removeprefix("at least ").split(" of ")[0] in " ".join(performance.split())
