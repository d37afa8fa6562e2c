"""Python names the project in one place.

A fork has another name, of another length: lines would have to be broken elsewhere, and an identifier with a
hyphen would be none. Only this repository has this test, since a fork's name may be a word of the code.
"""

import re
from pathlib import Path

from app.core.name import NAME
from deploy import checkout

PLACE = Path("app/core/name.py")
# Generated, and what no fork has.
ELSEWHERE = ("app/gen", "tests/gen", "deploy/template", "tests/template")
FORMS = re.compile("|".join(form for word in (NAME, NAME.replace("-", "_")) for form in (word, word.upper())))


def test_no_other_module_than_that_of_the_name_names_the_project() -> None:
    modules = [
        path
        for path in checkout.files()
        if path.suffix == ".py" and not any(path.is_relative_to(folder) for folder in ELSEWHERE)
    ]
    found = [
        f"{path}:{number}: {line.strip()}"
        for path in modules
        for number, line in enumerate((checkout.ROOT / path).read_text().splitlines(), start=1)
        if FORMS.search(line)
    ]
    assert found == [f'{PLACE}:3: NAME = "{NAME}"']
