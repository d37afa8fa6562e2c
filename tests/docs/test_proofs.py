"""The README's table of proofs: each number stands on the page of its results."""

import re

from tests.docs.pages import Page
from tests.support.outcomes.table import TABLE

README = Page("README.md")


def proofs() -> list[list[str]]:
    """The rows of the table of proofs: claim, number and command."""
    rows = [line for line in README.section("## Proofs").splitlines() if line.startswith("| ")]
    return [row.strip("| ").split(" | ") for row in rows[1:]]


def test_every_proof_has_a_number_and_a_target_of_make() -> None:
    assert len(proofs()) == 7
    for _, number, command in proofs():
        assert re.search(r"\d", number)
        assert re.fullmatch(r"`make [a-z0-9-]+`", command)


def test_every_number_of_a_proof_stands_on_the_page_of_its_results() -> None:
    updates, deaths, shares, cases, ledger, cost, overload = (number for _, number, _ in proofs())
    cluster = Page("docs/kubernetes.md").section("## Measured on a cluster")
    performance = Page("docs/performance.md").text
    for event, number in {"ten rolling updates": updates, "two processes that die at once": deaths}.items():
        [(failed, calls)] = re.findall(rf"^\| {event}[^|]*\| (\S+) \| (\S+) \|$", cluster, flags=re.MULTILINE)
        assert number.startswith(f"{failed} of {calls} calls failed")
    assert shares.split()[0] in cluster
    combinations = sum(len(case.methods) for case in TABLE)
    assert cases.startswith(f"{combinations} cases: {len(TABLE)} events")
    assert ledger in " ".join(Page("docs/outcomes.md").text.split())
    ours, usual = re.findall(
        r"^\| (?:this server|the usual stack[^|]*) \| (\S+)", performance, flags=re.MULTILINE
    )
    assert re.findall(r"\d\.\d+", cost) == [ours, usual]
    assert overload.split(",")[0].removeprefix("at least ").split(" of ")[0] in " ".join(performance.split())
