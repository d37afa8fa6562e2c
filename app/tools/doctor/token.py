"""The steps `token` and `clock`: whether the server takes the token, and what speaks against a clock."""

import re
import shlex
import time
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import jwt

from app.client.token import read_token
from app.core.file import in_words
from app.core.name import NAME
from app.tools.doctor.call import Reply, make_call
from app.tools.doctor.case import Case
from app.tools.doctor.report import Found, Remedy, Wrong, lasting

_UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
_ABOUT_TIME = re.compile(r"expired|not (yet valid|valid yet)|future|\b(exp|nbf|iat)\b", re.IGNORECASE)
_NAME_AND_TOKEN = re.compile(r"([^:\s]+:\S+\s*)+")


def token(case: Case) -> Found:
    """Reads the token's file, and makes the call that tells whether it is taken."""
    asked, own = case.asked, ""
    if asked.token_file is not None:
        if asked.exposed and not asked.allow_plaintext_token:
            raise _exposed(case)
        own = _read(case, asked.token_file)
        case.claims = _claims(own)
    reply = case.reply = make_call(case)
    facts = {"given": bool(own), "valid_until": _date(case.claims, "exp")}
    if reply is None:
        text = f"read, and not tried{_validity(case.claims)}" if own else "none was given"
        return Found(text, facts, note=True)
    if own:  # should the server repeat it
        reply = case.reply = replace(reply, details=reply.details.replace(own, "(the token)"))
    if reply.code is _UNAUTHENTICATED:
        if asked.token_file is None:
            raise _missing(case, reply)
        if not case.claims or _has_expired(case.claims) or not _ABOUT_TIME.search(reply.details):
            raise _refused(case, asked.token_file, own, reply)
        return Found(f"refused by its dates{_validity(case.claims)}", facts, note=True)
    if not own:
        return Found("none was given, and this call needs none", facts)
    return Found(f"accepted{_validity(case.claims)}", facts)


def clock(case: Case) -> Found:
    """What speaks against this machine's clock. gRPC does not tell the server's, but tokens have dates."""
    now = datetime.now(UTC)
    shown = f"{now:%H:%M:%S} UTC"
    if case.reply is not None and case.reply.code is _UNAUTHENTICATED:
        raise Wrong(
            "clock",
            f"the server's clock and this one ({shown}) differ, or the token is from the future",
            f"The server refuses the token by its dates ({case.reply.details!r}), and by this machine's"
            f" clock, {shown}, it has not expired{_validity(case.claims)}. One of the clocks is wrong: this"
            " one, the server's, or that of the token's issuer.",
            Remedy("Compare this one with one that is right:", "date -u"),
            status=_UNAUTHENTICATED,
        )
    return Found(f"{shown} here; gRPC does not tell the server's", {"utc": now.isoformat()}, note=True)


def _claims(text: str) -> dict[str, Any]:
    """What a JSON Web Token (RFC 7519) says of itself, unverified: that is for the server; {} for others."""
    try:
        return dict(jwt.decode(text, options={"verify_signature": False}))
    except jwt.InvalidTokenError:
        return {}


def _date(claims: dict[str, Any], *names: str) -> float | None:
    """The latest of these dates, in seconds of Unix time."""
    return max((one for one in map(claims.get, names) if isinstance(one, int | float)), default=None)


def _validity(claims: dict[str, Any]) -> str:
    now, end, begin = time.time(), _date(claims, "exp"), _date(claims, "nbf", "iat")
    if end is not None and end <= now:
        return f"; by this clock it expired {lasting(now - end)} ago"
    if begin is not None and begin > now:
        return f"; by this clock it begins in {lasting(begin - now)}"
    return f"; it is valid for another {lasting(end - now)}" if end is not None else ""


def _has_expired(claims: dict[str, Any]) -> bool:
    end = _date(claims, "exp")
    return end is not None and end <= time.time()


def _read(case: Case, path: Path) -> str:
    try:
        return read_token(path)
    except OSError as error:
        found = f"{path} cannot be read: {in_words(error)}"
        remedies = _from_cluster(case)
    except ValueError:
        found, remedies = f"{path} has not one token and nothing else", _from_cluster(case)
        if mistake := _mistake(path, path.read_text("ascii", "replace").strip()):
            found, remedies = f"{path} {mistake[0]}", _mended(case, path, mistake[1])
    raise Wrong("bad-file", found, f"The token's file {found}.", *remedies, status=None)


def _mistake(path: Path, content: str) -> tuple[str, str] | None:
    """What is in the file around the token, and the command that takes the token out of it."""
    file = shlex.quote(str(path))
    if content.lower().startswith("bearer "):
        return "begins with Bearer, which is put before the token anyway", f"cut -d' ' -f2 {file}"
    if _NAME_AND_TOKEN.fullmatch(content):
        return (
            "has name:token lines, as a server's file has; the token begins after the colon",
            f"head -n 1 {file} | cut -d: -f2-",
        )
    try:
        inside = b64decode(content, validate=True).decode("ascii").strip()
    except ValueError:
        return None
    return (
        ("is still in base64, as a Secret has it", f"base64 -d {file}")
        if inside and inside.isprintable()
        else None
    )


def _mended(case: Case, path: Path, command: str) -> list[Remedy]:
    to = Path("token") if path != Path("token") else Path("token.new")
    then = Remedy("Then:", case.asked.doctor(token_file=to))
    return [Remedy("To have the token alone:", f"{command} > {to}"), then]


def _exposed(case: Case) -> Wrong:
    return Wrong(
        "plaintext-token",
        "not sent: it would go over the network unencrypted",
        f"The token would go to {case.asked.target} in plaintext, for all to read who are on the way, so it"
        " is kept back. TLS, where the server has it, is the way out.",
        Remedy("Where the network in between can be trusted:", case.asked.doctor(allow_plaintext_token=True)),
        status=None,
    )


def _missing(case: Case, reply: Reply) -> Wrong:
    explained = f"The server wants a token, and none was given: {reply.method} is refused."
    if case.asked.exposed:
        explained += " It would go unencrypted: only where the network in between can be trusted."
    found = "the server wants one, and none was given"
    return Wrong("token-missing", found, explained, *_from_cluster(case), status=_UNAUTHENTICATED)


def _refused(case: Case, path: Path, own: str, reply: Reply) -> Wrong:
    claims, cause, found = case.claims, "token-refused", f"refused: {reply.details}"
    explained = f"The server refuses the token of {path}: {reply.details!r}."
    if claims:
        remedies = [Remedy("With a new one in that file:", case.asked.doctor())]
        if _has_expired(claims):
            cause, found = "token-expired", f"it is refused{_validity(claims)}"
            explained = f"{explained[:-1]}{_validity(claims)}."
        audience = claims.get("aud") or "(none)"
        shown = ", ".join(map(str, audience)) if isinstance(audience, list) else audience
        explained += (
            f" By its own words, its issuer is {claims.get('iss', 'nobody')}, and it is for the audience"
            f" {shown}: the server has to trust the one, and be the other (APP_JWT_ISSUER, APP_JWT_AUDIENCE)."
        )
    elif mistake := _mistake(path, own):
        explained += f" It {mistake[0]}."
        remedies = _mended(case, path, mistake[1])
    else:
        explained += " It may be of another server, or have been replaced."
        remedies = _from_cluster(case)
    return Wrong(cause, found, explained, *remedies, status=_UNAUTHENTICATED)


def _from_cluster(case: Case) -> list[Remedy]:
    """Where the token is in a cluster with the chart's defaults, and how to send it."""
    asked, file = case.asked, Path("token")
    command = asked.doctor(
        token_file=file, allow_plaintext_token=asked.exposed or asked.allow_plaintext_token
    )
    return [
        Remedy(
            "The chart makes one, in a Secret; elsewhere, whoever runs the server has one for you:",
            f"kubectl get secret {NAME}-token -o jsonpath='{{.data.token}}' | base64 -d > {file}",
        ),
        Remedy(f"With it in the file {file}:", command),
    ]
