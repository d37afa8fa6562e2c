"""The template language: its delimiters, which occur nowhere else in this repository, and its expressions."""

ENVIRONMENT = {
    "variable_start_string": "[=",
    "variable_end_string": "=]",
    "block_start_string": "[%",
    "block_end_string": "%]",
    "comment_start_string": "[#",
    "comment_end_string": "#]",
}
OPENERS = ("[=", "[%", "[#")


def answer(name: str) -> str:
    """An expression for an answer, or for what follows from the answers."""
    return f"[= cookiecutter.{name} =]"


# Both tools take a project's files from this folder.
FOLDER = answer("project")


def given(conditions: frozenset[str], text: str, otherwise: str = "") -> str:
    """The text, for forks in which all of the conditions hold."""
    if not conditions or not text + otherwise:
        return text
    wanted = " and ".join(f"cookiecutter.{name}" for name in sorted(conditions))
    return f"[% if {wanted} %]{text}{f'[% else %]{otherwise}' if otherwise else ''}[% endif %]"


def verbatim(text: str) -> str:
    """The text, as it is, whatever it has of the template language."""
    raw = "raw"  # not in one word with its delimiters, because this file is such a text
    return f"[% {raw} %]{text}[% end{raw} %]"


def literal(text: str) -> str:
    """A string of the template language."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
