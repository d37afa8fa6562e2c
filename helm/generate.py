"""Generates the chart's schema, the table in its README.md and its plain variables from values.yaml.

`make gen` runs it; a test fails if the files are not current.

Each value has a comment right above it, in sentences. `@setting APP_…` names the setting that the value is:
type, range and description are the setting's, and the variable is set in templates/_settings.tpl unless
another template sets it. Words of its own replace the description. A line `@schema` adds to the type, or
replaces a part of it, as a mapping in one line of YAML. A map is closed unless its `@schema` has
`additionalProperties`. `@sets` names the variables that other templates derive from a value: extraEnv cannot
set them (templates/_variables.tpl). `@renamed OLD` has the former name of a value: the schema knows it only
so that the chart can reject it with the new one (templates/checks/_renamed.tpl). Words after it say what to
set in place of old values.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from app.core.name import NAME
from app.core.section import settings_of
from app.core.value_type import value_types
from app.settings import sections

CHART = Path(__file__).parent / NAME
TEMPLATE = CHART / "templates" / "_settings.tpl"
RENAMED = CHART / "templates" / "checks" / "_renamed.tpl"
VARIABLES = CHART / "templates" / "_variables.tpl"
BEGIN, END = "<!-- generated: values -->\n", "<!-- /generated -->\n"

# JSON Schema and description of each setting, by variable.
SCHEMAS = {name: one.schema for section in sections().values() for name, one in value_types(section).items()}
WORDS = {
    name: field.metadata["description"]
    for section in sections().values()
    for name, field in settings_of(section).items()
}

_SETTING = re.compile(r"^( *# @setting (APP_\w+))\b.*$", re.MULTILINE)

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


@dataclass(frozen=True)
class Value:
    """One value, or a map of them."""

    path: tuple[str, ...]
    default: Any
    words: str
    rules: dict[str, Any]
    setting: str
    sets: tuple[str, ...]
    renamed: str  # its former path, with words about its values if they changed
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
        words, rules, setting, sets, renamed = _comment(lines, key.start_mark.line)
        open_map = "additionalProperties" in rules
        inner = (
            _read(below, default, lines, here)
            if isinstance(default, dict) and default and not open_map
            else ()
        )
        if setting:
            rules = _of_setting(here, setting, rules, nullable=default is None)
            words = words or sentence(setting)
        if not words:
            raise ValueError(f"{'.'.join(here)}: it has no comment above it")
        if default is None and "type" not in rules:
            raise ValueError(f"{'.'.join(here)}: null tells no type; say it with @schema")
        if default == {} and not open_map:
            raise ValueError(f"{'.'.join(here)}: say with @schema {{additionalProperties: …}} what it takes")
        if default == [] and "items" not in rules:
            raise ValueError(f"{'.'.join(here)}: say with @schema {{items: …}} what it takes")
        found.append(Value(here, default, words, rules, setting, sets, renamed, inner))
    return tuple(found)


def _of_setting(
    path: tuple[str, ...], setting: str, rules: dict[str, Any], *, nullable: bool
) -> dict[str, Any]:
    if setting not in SCHEMAS:
        raise ValueError(f"{'.'.join(path)}: there is no setting {setting}")
    found = dict(SCHEMAS[setting])
    if nullable and "type" in found:
        found["type"] = [found["type"], "null"]
    return found | rules


def sentence(setting: str) -> str:
    """The setting's description, as a sentence."""
    words = WORDS[setting]
    return f"{words[0].upper()}{words[1:]}."


def _comment(lines: list[str], line: int) -> tuple[str, dict[str, Any], str, tuple[str, ...], str]:
    above: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        above.insert(0, lines[line].lstrip().removeprefix("#").strip())
    rules: dict[str, Any] = {}
    setting = renamed = ""
    sets: tuple[str, ...] = ()
    for text in above:
        if text.startswith("@schema "):
            rules |= yaml.safe_load(text.removeprefix("@schema "))
        elif text.startswith("@setting "):
            setting = text.split()[1].rstrip(":")
        elif text.startswith("@sets "):
            sets = tuple(text.removeprefix("@sets ").split(", "))
        elif text.startswith("@renamed "):
            renamed = text.removeprefix("@renamed ")
    words = " ".join(text for text in above if not text.startswith("@"))
    return words, rules, setting, sets, renamed


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
    for old, new, _ in renames(values):
        *parents, last = old.split(".")
        place = made
        for one in parents:
            place = place["properties"][one]
        place["properties"][last] = {"description": f"Renamed to {new}.", "deprecated": True}
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


def commented(text: str, values: tuple[Value, ...]) -> str:
    """The values' text, with the setting's description where a value has no words of its own."""
    described = {one.setting for one in leaves(values) if one.setting and one.words == sentence(one.setting)}

    def line(match: re.Match[str]) -> str:
        return f"{match[1]}: {WORDS[match[2]]}" if match[2] in described else match[1]

    return _SETTING.sub(line, text)


def template(values: tuple[Value, ...]) -> str:
    """The variables of the values that no other template sets."""
    others = (path.read_text() for path in sorted(CHART.rglob("*.tpl")) if path.name != TEMPLATE.name)
    elsewhere = set(re.findall(r"^- name: (APP_\w+)$", "".join(others), flags=re.MULTILINE))
    variables = (_variable(one) for one in leaves(values) if one.setting and one.setting not in elsewhere)
    head = "{{/* Generated by helm/generate.py from values.yaml. */}}\n"
    return head + _define("settings", "".join(variables))


def _define(name: str, body: str) -> str:
    return f'{{{{- define "{NAME}.{name}" }}}}\n{body}{{{{- end }}}}\n'


def renames(values: tuple[Value, ...]) -> list[tuple[str, str, str]]:
    """The former path of each value that has one, its path, and what to set in place of old values."""
    found = []
    for one in values:
        if one.renamed:
            old, _, words = one.renamed.partition(": ")
            found.append((old, one.name, words))
        found += renames(one.inner)
    return found


def variables_template(values: tuple[Value, ...]) -> str:
    """The value that decides each variable, as YAML."""
    found = dict(_variables(values))
    lines = "".join(f"{name}: {found[name]}\n" for name in sorted(found))
    head = "{{/* Generated by helm/generate.py from values.yaml: the value that decides each variable. */}}\n"
    return head + _define("valueOfVariable", lines)


def _variables(values: tuple[Value, ...]) -> Iterator[tuple[str, str]]:
    for one in values:
        yield from ((name, one.name) for name in [one.setting, *one.sets] if name)
        yield from _variables(one.inner)


def renamed_template(values: tuple[Value, ...]) -> str:
    """An error for each former name that is still set."""
    head = "{{/* Generated by helm/generate.py from values.yaml: former names of values. */}}\n"
    checks = "".join(_renamed(one) for one in renames(values))
    return head + _define("check.renamed", checks)


def _renamed(one: tuple[str, str, str]) -> str:
    old, new, words = one
    *parents, last = old.split(".")
    explained = f": {words}" if words else ""
    line = json.dumps(f"{old} was renamed to {new}{explained}", ensure_ascii=False)
    return f'{{{{- if hasKey .{".".join(["Values", *parents])} "{last}" }}}}\n- {line}\n{{{{- end }}}}\n'


def _variable(one: Value) -> str:
    value = f".Values.{one.name}"
    match one.rules.get("type"), one.default:
        case ["integer", "null"], _:
            given, text = f'not (kindIs "invalid" {value})', f"int64 {value}"
        case [_, "null"], _:
            given, text = f'not (kindIs "invalid" {value})', value
        case "integer", _:  # a large one is a float to Helm
            given, text = "", f"int64 {value}"
        case "array", _:
            given, text = value, f'join "," {value}'
        case _, "":
            given, text = value, value
        case _:
            given, text = "", value
    lines = f"- name: {one.setting}\n  value: {{{{ {text} | quote }}}}\n"
    return f"{{{{- if {given} }}}}\n{lines}{{{{- end }}}}\n" if given else lines


def leaves(values: tuple[Value, ...]) -> Iterator[Value]:
    """The values that are not maps of others."""
    for one in values:
        if one.inner:
            yield from leaves(one.inner)
        else:
            yield one


def main() -> None:
    source = CHART / "values.yaml"
    values = read(source.read_text())
    source.write_text(commented(source.read_text(), values))
    TEMPLATE.write_text(template(values))
    VARIABLES.write_text(variables_template(values))
    RENAMED.write_text(renamed_template(values))
    (CHART / "values.schema.json").write_text(schema_file(values))
    path = CHART / "README.md"
    path.write_text(readme(values, path.read_text()))


if __name__ == "__main__":
    main()
