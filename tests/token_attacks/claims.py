"""Attacks with a token that the issuer has signed: claims that are absent, of another kind, or for others."""

import time
from typing import Any

from tests.support.tokens import AUDIENCE, ISSUER, KIDS, claims, private, signed, token
from tests.token_attacks.family import Attack, each


def among(name: str, values: dict[str, Any]) -> dict[str, Attack]:
    """An attack for each value of that claim."""
    return each(f"{name} is", lambda value: token(**{name: value}), values)


def infinite(**changes: Any) -> bytes:
    """Claims with a number that JSON has not, or Python has not."""
    text = str(claims(**changes)).replace("'", '"').replace("nan", "NaN").replace("inf", "1e400")
    return signed({"alg": "EdDSA", "kid": KIDS["EdDSA"]}, text.encode(), private("EdDSA"), "EdDSA")


NO_DATES: dict[str, Any] = {
    "a text": "9999999999",
    "digits of another script": "\u0669" * 10,
    "a word": "never",
    "an empty text": "",
    "a text in ISO 8601": "2999-01-01T00:00:00Z",
    "true": True,
    "null": None,
    "a list": [9999999999],
    "an object": {"exp": 9999999999},
    "below zero": -1,
    "milliseconds": 9999999999999,
    "10 to the 30th": 10**30,
    "NaN": float("nan"),
    "Infinity": float("inf"),
}
NO_TEXTS: dict[str, Any] = {
    "left out": ...,
    "null": None,
    "a number": 1,
    "true": True,
    "empty": "",
    "an object": {},
}
OTHER_ISSUERS = {
    "another": "https://attacker.test/",
    "a prefix": ISSUER[:-1],
    "longer": ISSUER + "x",
    "in upper case": ISSUER.upper(),
    "with a space": ISSUER + " ",
    "with a zero byte": ISSUER + "\x00",
    "with a line break": ISSUER + "\n",
    "a list of it": [ISSUER],
    "http": ISSUER.replace("https", "http"),
    "with a user": "https://issuer.test@attacker.test/",
    "with a look-alike": ISSUER.replace("i", "\u0456", 1),
}
OTHER_AUDIENCES = {
    "another": "other",
    "a prefix": AUDIENCE[:-1],
    "longer": AUDIENCE + "s",
    "in upper case": AUDIENCE.upper(),
    "an empty list": [],
    "a list of another": ["other"],
    "a list in a list": [[AUDIENCE]],
    "an object with it": {AUDIENCE: True},
    "a list with a number": [AUDIENCE, 1],
    "a list with null": [None, AUDIENCE],
    "a text with two": f"other {AUDIENCE}",
    "a text with a comma": f"{AUDIENCE},other",
    "a list of its letters": list(AUDIENCE),
    "a star": "*",
    "an expression": ".*",
}
NO_SUBJECTS = {
    "a list": ["ann"],
    "too long": "a" * 257,
    "with a line break": "ann\nroot",
    "with a carriage return": "ann\rroot",
    "with a zero byte": "ann\x00",
    "with a tab": "ann\t",
    "with a terminal's escapes": "\x1b[31mann",
    "with a mark that turns text around": "ann\u202e",
    "with a zero-width space": "ann\u200b",
    "with a half surrogate": "ann\ud800",
    "with a line separator": "ann\u2028",
}
NO_SCOPES = {
    "a number": 1,
    "true": True,
    "null": None,
    "an object": {"items.write": True},
    "a list with a number": ["items.write", 1],
    "a list in a list": [["items.write"]],
}

CLAIMS: dict[str, Attack] = {
    "no claims": lambda: signed({"alg": "EdDSA"}, {}, private("EdDSA"), "EdDSA"),
    **among("exp", NO_DATES | {"left out": ..., "zero": 0, "a minute ago": time.time() - 60}),
    **among("exp", {"as long ago as the leeway": time.time() - 10}),
    **among("nbf", NO_DATES | {"in an hour": time.time() + 3600}),
    **among("iat", NO_DATES | {"in an hour": time.time() + 3600}),
    **each(
        "a number too large for a float as", lambda name: infinite(**{name: float("inf")}), ["exp", "nbf"]
    ),
    **among("iss", NO_TEXTS | OTHER_ISSUERS),
    **among("aud", NO_TEXTS | OTHER_AUDIENCES),
    **among("sub", NO_TEXTS | NO_SUBJECTS),
    **among("scope", NO_SCOPES),
    **among("scp", NO_SCOPES),
}
