"""The project's name in a text, and the answer that takes its place.

`quoter` in lower case is the project. `Quoter`, `quotes` and `QUOTES` are the example's, and stand only in
what `make remove` takes out. Within a longer name, such as an identifier of Python, the project's name would
not be valid for each fork; there it is left, and found by `left`.
"""

import re
from dataclasses import dataclass

from deploy.template.jinja import answer

# The folder of the example whose service has a name like the project's.
EXAMPLE = "quotes"


@dataclass(frozen=True)
class Names:
    """`example` is the folder of the example whose names are like the project's."""

    project: str
    example: str

    def replaced(self, text: str) -> str:
        """The text with expressions for the project's name, and for the prefix of its variables."""
        word = re.escape(self.project)
        text = re.sub(rf"(?<![A-Za-z0-9_]){word}(?![A-Za-z0-9_])", answer("project"), text)
        return re.sub(rf"(?<![A-Za-z0-9]){word.upper()}_(?=[A-Z\"'{{…])", f"{answer('__env')}_", text)

    def left(self, text: str) -> str | None:
        """The first name of project or example in a text, of which the names are replaced; None if none."""
        pattern = rf"(?i){re.escape(self.project)}|(?<![a-z]){re.escape(self.example)}(?![a-z])"
        found = re.search(pattern, text)
        return found[0] if found else None
