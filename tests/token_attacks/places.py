"""Attacks with a good token in the wrong place, or beside another: metadata that is to let nobody in."""

from collections.abc import Callable

from tests.support.tokens import token

Metadata = list[tuple[str, str | bytes]]


def bearer(made: bytes | None = None) -> tuple[str, str]:
    return ("authorization", f"Bearer {(made or token()).decode()}")


def under(key: str, before: str = "Bearer ", after: str = "") -> Callable[[], Metadata]:
    return lambda: [(key, f"{before}{token().decode()}{after}")]


def exactly(value: str) -> Callable[[], Metadata]:
    return lambda: [("authorization", value)]


def in_bytes(key: str) -> Callable[[], Metadata]:
    return lambda: [(key, b"Bearer " + token())]


OTHER_KEYS = [
    *(
        "proxy-authorization",
        "x-authorization",
        "x-forwarded-authorization",
        "authorization2",
        "authorizatio",
    ),
    *("authorization-", "authorization.", "_authorization", "www-authenticate", "cookie", "access_token"),
    *("x-access-token", "token", "x-api-key", "jwt", "x-jwt-assertion", "x-goog-iap-jwt-assertion"),
    *("grpcgateway-authorization", "x-envoy-original-authorization", "te2"),
]
OTHER_SCHEMES = [
    "",
    "Basic ",
    "Token ",
    "JWT ",
    "DPoP ",
    "Negotiate ",
    "Digest ",
    "Bearer",
    "Bearer:",
    "Bearer=",
]
OTHER_SCHEMES += [
    "Bearer: ",
    "BearerToken ",
    "Bearer Bearer ",
    "Basic Bearer ",
    "bearer,",
    "MAC ",
    ": Bearer ",
]
EMPTY = [
    "",
    " ",
    "Bearer",
    "Bearer ",
    "Bearer  ",
    "bearer",
    "BEARER ",
    ".",
    "null",
    "Bearer null",
    "undefined",
]

PLACES: dict[str, Callable[[], Metadata]] = {
    "no metadata": list,
    **{f"the token as {key}": under(key) for key in OTHER_KEYS},
    **{f"the token as {key}": in_bytes(key) for key in ("authorization-bin", "token-bin")},
    **{f"the scheme {scheme!r}": under("authorization", scheme) for scheme in OTHER_SCHEMES},
    **{f"the value {value!r}": exactly(value) for value in EMPTY},
    "the token twice": lambda: [bearer()] * 2,
    "two good tokens": lambda: [bearer(token("RS256")), bearer(token("ES256"))],
    "a good token and then nothing": lambda: [bearer(), ("authorization", "")],
    "nothing and then a good token": lambda: [("authorization", ""), bearer()],
    "a good token and then a bad one": lambda: [bearer(), bearer(b"x")],
    "a bad token and then a good one": lambda: [bearer(b"x"), bearer()],
    "a good token and then Basic": lambda: [bearer(), ("authorization", "Basic eDp5")],
    "a good token three times": lambda: [bearer()] * 3,
    "a good token forty times": lambda: [bearer(b"short")] * 40,
    "two tokens in one value": lambda: [("authorization", f"{bearer()[1]}, {bearer()[1]}")],
    "a token with a parameter": under("authorization", after=", realm=api"),
    "a token with a comment": under("authorization", after=" (ann)"),
    "7000 letters": lambda: [bearer(b"x" * 7000)],
    "7000 dots": lambda: [bearer(b"." * 7000)],
    "7000 spaces before a letter": lambda: [bearer(b" " * 7000 + b"x")],
}
