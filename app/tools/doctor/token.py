"""The steps `token` and `clock`: whether the server accepts the token, and whether a clock is wrong."""

import re
import shlex
import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import grpc
import jwt

from app.client.token import read_token
from app.core.file import reason_of
from app.core.name import NAME
from app.tools.doctor.facts import Facts, Finding, Reply
from app.tools.doctor.report import Remedy, StepError
from app.tools.doctor.rpc import make_call
from app.tools.period import period

_UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
_ABOUT_TIME = re.compile(r"expired|not (yet valid|valid yet)|future|\b(exp|nbf|iat)\b", re.IGNORECASE)
_NAME_AND_TOKEN = re.compile(r"([^:\s]+:\S+\s*)+")


def token(facts: Facts) -> Finding:
    """Reads the token's file, and makes the call that shows whether the server accepts the token."""
    arguments, own = facts.arguments, ""
    if arguments.token_file is not None:
        if arguments.exposed and not arguments.allow_plaintext_token:
            raise _exposed(facts)
        own = _read(facts, arguments.token_file)
        facts = replace(facts, claims=_claims(own))
    reply = make_call(facts)
    data = {"given": bool(own), "valid_until": _date(facts.claims, "exp")}
    if reply is None:
        text = f"read, but not tried{_validity(facts.claims)}" if own else "none was given"
        return Finding(text, data, note=True, facts=facts)
    if own:  # the server may repeat it
        reply = replace(reply, details=reply.details.replace(own, "(the token)"))
    facts = replace(facts, reply=reply)
    if reply.code is _UNAUTHENTICATED:
        if arguments.token_file is None:
            raise _missing(facts, reply)
        if not facts.claims or _has_expired(facts.claims) or not _ABOUT_TIME.search(reply.details):
            raise _rejected(facts, arguments.token_file, own, reply)
        return Finding(
            f"rejected because of its dates{_validity(facts.claims)}", data, note=True, facts=facts
        )
    if not own:
        return Finding("none was given, and this call needs none", data, facts=facts)
    return Finding(f"accepted{_validity(facts.claims)}", data, facts=facts)


def clock(facts: Facts) -> Finding:
    """Compares the clocks by the dates of the token: gRPC does not show the server's time."""
    now = datetime.now(UTC)
    shown = f"{now:%H:%M:%S} UTC"
    if facts.reply is not None and facts.reply.code is _UNAUTHENTICATED:
        raise StepError(
            "clock",
            f"the server's clock and this one ({shown}) differ, or the token is not valid yet",
            f"The server rejects the token because of its dates ({facts.reply.details!r}), but by this"
            f" machine's clock, {shown}, it has not expired{_validity(facts.claims)}. One of the clocks is"
            " wrong: this one, the server's, or that of the token's issuer.",
            Remedy("Compare this clock with a correct one:", "date -u"),
            status=_UNAUTHENTICATED,
        )
    return Finding(f"{shown} here; gRPC does not show the server's", {"utc": now.isoformat()}, note=True)


def _claims(text: str) -> Mapping[str, object]:
    """Returns the claims of a JSON Web Token (RFC 7519), unverified; {} for other tokens."""
    try:
        return dict(jwt.decode(text, options={"verify_signature": False}))
    except jwt.InvalidTokenError:
        return {}


def _date(claims: Mapping[str, object], *names: str) -> float | None:
    """Returns the latest of these dates, in seconds of Unix time."""
    return max((one for one in map(claims.get, names) if isinstance(one, int | float)), default=None)


def _validity(claims: Mapping[str, object]) -> str:
    now, end, begin = time.time(), _date(claims, "exp"), _date(claims, "nbf", "iat")
    if end is not None and end <= now:
        return f"; by this clock it expired {period(now - end)} ago"
    if begin is not None and begin > now:
        return f"; by this clock it is valid from {period(begin - now)} from now"
    return f"; it is valid for another {period(end - now)}" if end is not None else ""


def _has_expired(claims: Mapping[str, object]) -> bool:
    end = _date(claims, "exp")
    return end is not None and end <= time.time()


def _read(facts: Facts, path: Path) -> str:
    try:
        return read_token(path)
    except OSError as error:
        found = f"{path} cannot be read: {reason_of(error)}"
        remedies = _from_cluster(facts)
    except ValueError:
        found, remedies = f"{path} does not contain exactly one token", _from_cluster(facts)
        if mistake := _content(path, path.read_text("ascii", "replace").strip()):
            found, remedies = f"{path} {mistake[0]}", _repair(facts, path, mistake[1])
    raise StepError("bad-file", found, f"The token's file {found}.", *remedies, status=None)


def _content(path: Path, content: str) -> tuple[str, str] | None:
    """Returns what the file contains in place of one token, and the command that extracts the token."""
    file = shlex.quote(str(path))
    if content.lower().startswith("bearer "):
        return "begins with Bearer, which is added to the token when it is sent", f"cut -d' ' -f2 {file}"
    if _NAME_AND_TOKEN.fullmatch(content):
        return (
            "has name:token lines, as the file of a server; the token begins after the colon",
            f"head -n 1 {file} | cut -d: -f2-",
        )
    try:
        inside = b64decode(content, validate=True).decode("ascii").strip()
    except ValueError:
        return None
    return (
        ("is encoded in base64, as in a Secret", f"base64 -d {file}")
        if inside and inside.isprintable()
        else None
    )


def _repair(facts: Facts, path: Path, command: str) -> list[Remedy]:
    to = Path("token") if path != Path("token") else Path("token.new")
    then = Remedy("Then:", facts.arguments.command(token_file=to))
    return [Remedy("To extract the token:", f"{command} > {to}"), then]


def _exposed(facts: Facts) -> StepError:
    return StepError(
        "plaintext-token",
        "not sent: it would be sent over the network unencrypted",
        f"In plaintext the token for {facts.arguments.target} would be readable by anyone on the network"
        " path, so it was not sent. Use TLS if the server supports it.",
        Remedy("If the network is trusted:", facts.arguments.command(allow_plaintext_token=True)),
        status=None,
    )


def _missing(facts: Facts, reply: Reply) -> StepError:
    explained = f"The server requires a token, and none was given: {reply.method} is rejected."
    if facts.arguments.exposed:
        explained += " The token would be sent unencrypted: send one only if the network is trusted."
    found = "the server requires one, and none was given"
    return StepError("token-missing", found, explained, *_from_cluster(facts), status=_UNAUTHENTICATED)


def _rejected(facts: Facts, path: Path, own: str, reply: Reply) -> StepError:
    claims, cause, found = facts.claims, "token-refused", f"rejected: {reply.details}"
    explained = f"The server rejects the token of {path}: {reply.details!r}."
    if claims:
        remedies = [Remedy("With a new one in that file:", facts.arguments.command())]
        if _has_expired(claims):
            cause, found = "token-expired", f"rejected{_validity(claims)}"
            explained = f"{explained[:-1]}{_validity(claims)}."
        audience = claims.get("aud") or "(none)"
        shown = ", ".join(map(str, audience)) if isinstance(audience, list) else audience
        explained += (
            f" Its claims name the issuer {claims.get('iss', '(none)')} and the audience {shown}: the server"
            " must accept both (APP_JWT_ISSUER, APP_JWT_AUDIENCE)."
        )
    elif mistake := _content(path, own):
        explained += f" It {mistake[0]}."
        remedies = _repair(facts, path, mistake[1])
    else:
        explained += " It may be the token of another server, or an old one."
        remedies = _from_cluster(facts)
    return StepError(cause, found, explained, *remedies, status=_UNAUTHENTICATED)


def _from_cluster(facts: Facts) -> list[Remedy]:
    """Returns the commands that get the token from the Secret of the chart, and send it."""
    asked, file = facts.arguments, Path("token")
    command = asked.command(
        token_file=file, allow_plaintext_token=asked.exposed or asked.allow_plaintext_token
    )
    return [
        Remedy(
            "The chart creates one in a Secret; without the chart, ask the operator of the server:",
            f"kubectl get secret {NAME}-token -o jsonpath='{{.data.token}}' | base64 -d > {file}",
        ),
        Remedy(f"With it in the file {file}:", command),
    ]
