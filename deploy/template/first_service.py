"""The first service of a fork: what `make service` would write."""

import re
from pathlib import Path

from deploy import checkout
from deploy.service import NewService, scaffold
from deploy.template.jinja import answer, literal

SERVICE = "service"
_NAMES = {
    "name": answer("service"),
    "package": answer("package"),
    "folder": answer("__folder"),
    "proto": f"{answer('__proto_folder')}/{answer('__folder')}.proto",
    "constant": answer("__constant"),
}


def files() -> dict[Path, str]:
    """The texts of its files."""
    sample = NewService("Sample", "sample.v1")
    return {
        Path(str(path).replace(sample.proto, _NAMES["proto"]).replace(sample.folder, _NAMES["folder"])): (
            scaffold(template, _NAMES)
        )
        for path, template in sample.files.items()
    }


def page_line() -> str:
    """Its line in the list of pages."""
    return f"- [{_NAMES['folder']}]({_NAMES['folder']}.md): `{_NAMES['name']}Service`\n"


def services(text: str) -> str:
    """The text of `app/services/__init__.py`, with the examples that are kept and the first service."""
    imports, names = [], []
    for folder in checkout.folders():
        for constant in checkout.imported(folder):
            line = literal(f"from app.services.{folder} import {constant}")
            imports.append(f"[% if cookiecutter.__{folder} %][% set _ = imports.append({line}) %][% endif %]")
    own = (
        'imports.append("from app.services." ~ cookiecutter.__folder ~ " import " ~ cookiecutter.__constant)'
    )
    imports.append(f"[% if cookiecutter.service %][% set _ = {own} %][% endif %]")
    for constant in checkout.entries(text):
        folder = next(one for one in checkout.folders() if constant in checkout.imported(one))
        name = literal(constant)
        names.append(f"[% if cookiecutter.__{folder} %][% set _ = names.append({name}) %][% endif %]")
    names.append(
        "[% if cookiecutter.service %][% set _ = names.append(cookiecutter.__constant) %][% endif %]"
    )

    text = re.sub(
        r"(?:^from app\.services\.\w+ import \w+\n)+",
        lambda _: (
            f"[% set imports = [] %]{''.join(imports)}[% for line in imports|sort %][= line =]\n[% endfor %]"
        ),
        text,
        flags=re.MULTILINE,
    )
    [before] = re.finditer(r"^SERVICES\b.*?= ", text, flags=re.MULTILINE)
    line = f'({literal(before[0])} ~ "(" ~ names|join(", ") ~ ("," if names|length == 1 else "") ~ ")")'
    exploded = f"{before[0]}(\n[% for name in names %]    [= name =],\n[% endfor %])"
    return (
        text[: before.start()]
        + f"[% set names = [] %]{''.join(names)}[% set line = {line} %]"
        + f"[% if line|length <= {checkout.LINE_LENGTH} %][= line =][% else %]{exploded}[% endif %]\n"
    )
