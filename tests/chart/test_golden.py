"""The renders of the default values and of each example in the chart's README, in golden/.

`.venv/bin/python -m tests.chart.test_golden` writes them; read the difference before you commit it.
"""

from pathlib import Path

import pytest

from tests.chart.examples import EXAMPLES, README
from tests.chart.golden import Cases, file, golden, write

GOLDEN = Path(__file__).with_name("golden")
CASES: Cases = {"Default values": {}, **EXAMPLES}


@pytest.mark.parametrize("title", CASES)
def test_the_render_of_each_example_equals_its_golden_file(title: str) -> None:
    assert golden(CASES[title]) == file(GOLDEN, title).read_text()


def test_every_example_has_a_file_and_every_file_an_example() -> None:
    assert len(EXAMPLES) == README.count("```yaml") == README.count("\n### ")
    assert {file(GOLDEN, title) for title in CASES} == set(GOLDEN.iterdir())


if __name__ == "__main__":
    write(GOLDEN, CASES)
