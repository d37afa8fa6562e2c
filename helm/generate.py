"""Makes the chart's values.schema.json, and the table in its README.md, of the commented values.yaml.

`python helm/generate.py`, a part of `make gen`, writes both, and a test fails where they are not current.

Each value has a comment right above it, in sentences. Of its lines, those that begin with `@schema` add JSON
Schema to what the default tells of the type, as a mapping in one line of YAML, and `@setting` names the
variable that the server gets it by. A map is closed, and has the values that stand in it, unless its
`@schema` says what else it takes.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "quoter"
BEGIN, END = "<!-- made by helm/generate.py -->\n", "<!-- end of what is made -->\n"

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


@dataclass(frozen=True)
class Value:
    """One value, or a map of them."""

    path: tuple[str, ...]
    default: Any
    words: str
    rules: dict[str, Any]
    setting: str
    inner: "tuple[Value, ...]"

    @property
    def name(self) -> str:
        return ".".join(self.path)


def read(text: str) -> tuple[Value, ...]:
    """The values at the top. Raises ValueError for one without a comment, or whose type is not told."""
    return _read(yaml.compose(text), yaml.safe_load(text), text.splitlines(), ())


def _read(node: Any, defaults: Any, lines: list[str], path: tuple[str, ...]) -> tuple[Value, ...]:
    found = []
    for key, below in node.value:
        here, default = (*path, key.value), defaults[key.value]
        words, rules, setting = _comment(lines, key.start_mark.line)
        open_map = "additionalProperties" in rules
        inner = (
            _read(below, default, lines, here)
            if isinstance(default, dict) and default and not open_map
            else ()
        )
        if not words:
            raise ValueError(f"{'.'.join(here)}: it has no comment above it")
        if default is None and "type" not in rules:
            raise ValueError(f"{'.'.join(here)}: null tells no type; say it with @schema")
        if default == {} and not open_map:
            raise ValueError(f"{'.'.join(here)}: say with @schema {{additionalProperties: …}} what it takes")
        if default == [] and "items" not in rules:
            raise ValueError(f"{'.'.join(here)}: say with @schema {{items: …}} what it takes")
        found.append(Value(here, default, words, rules, setting, inner))
    return tuple(found)


def _comment(lines: list[str], line: int) -> tuple[str, dict[str, Any], str]:
    above: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        above.insert(0, lines[line].lstrip().removeprefix("#").strip())
    rules: dict[str, Any] = {}
    setting = ""
    for text in above:
        if text.startswith("@schema "):
            rules |= yaml.safe_load(text.removeprefix("@schema "))
        elif text.startswith("@setting "):
            setting = text.removeprefix("@setting ")
    return " ".join(text for text in above if not text.startswith("@")), rules, setting


def schema(values: tuple[Value, ...]) -> dict[str, Any]:
    """The JSON Schema of a map of these values and no others. Only what may be null may be missing."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [one.path[-1] for one in values if one.default is not None],
        "properties": {one.path[-1]: _schema(one) for one in values},
    }


def _schema(value: Value) -> dict[str, Any]:
    if value.inner:
        return {"description": value.words} | schema(value.inner)
    kind = {} if value.default is None else {"type": _TYPES[type(value.default)]}
    return {"description": value.words} | kind | value.rules


def schema_file(values: tuple[Value, ...]) -> str:
    draft = "http://json-schema.org/draft-07/schema#"
    made = {"$schema": draft, "title": f"Values of the {CHART.name} chart"} | schema(values)
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def table(values: tuple[Value, ...]) -> str:
    return "| value | default | | setting |\n|---|---|---|---|\n" + "".join(_rows(values))


def _rows(values: tuple[Value, ...]) -> list[str]:
    rows: list[str] = []
    for one in values:
        default = "" if one.inner else f"`{json.dumps(one.default, ensure_ascii=False)}`"
        setting = f"`{one.setting}`" if one.setting else ""
        words = one.words.replace("|", "\\|")
        rows += [f"| `{one.name}` | {default} | {words} | {setting} |\n", *_rows(one.inner)]
    return rows


def readme(values: tuple[Value, ...], before: str) -> str:
    """The README with its table made anew, and all else as it was. Raises ValueError where it has none."""
    head, begin, rest = before.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the README has no lines {BEGIN.strip()} and {END.strip()}")
    return head + begin + table(values) + end + tail


def main() -> None:
    values = read((CHART / "values.yaml").read_text())
    (CHART / "values.schema.json").write_text(schema_file(values))
    path = CHART / "README.md"
    path.write_text(readme(values, path.read_text()))


if __name__ == "__main__":
    main()
