"""All attacks: those of tests/attack/families, and of services in tests/services/*/attack.py."""

import importlib
from collections.abc import Iterator

from tests.attack.attack import Attack
from tests.support.servers.process import ROOT

FAMILIES = (
    "half_calls",
    "floods",
    "headers",
    "memory",
    "streams",
    "connections",
    "log",
    "metrics_port",
    "drain",
    "files",
    "keys",
    "tls",
    "clock",
)


def attacks(*names: str) -> Iterator[tuple[str, Attack]]:
    """Each with the name of its family: those of families or rows, or whose titles have a text; or all."""
    modules = {name: f"tests.attack.families.{name}" for name in FAMILIES}
    for file in sorted((ROOT / "tests/services").glob("*/attack.py")):
        modules[file.parent.name] = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    found = [
        (family, attack)
        for family, module in modules.items()
        for attack in importlib.import_module(module).ATTACKS
    ]
    known = {name for family, attack in found for name in (family, attack.number)}
    for family, attack in found:
        if not names or any(
            name in {family, attack.number} if name in known else name in attack.title for name in names
        ):
            yield family, attack
