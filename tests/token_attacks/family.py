"""Attacks, each by its name, and families of them."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

# What someone sends as their token, who is not to be let in.
Attack = Callable[[], bytes]

RSA, P256, ED = "RS256", "ES256", "EdDSA"


def each(name: str, make: Callable[[Any], bytes], over: Iterable[Any] | dict[str, Any]) -> dict[str, Attack]:
    """An attack for each of them, named by it; by its key, in a dict."""
    named = over if isinstance(over, dict) else {repr(one): one for one in over}
    return {f"{name} {key}": partial(make, value) for key, value in named.items()}
