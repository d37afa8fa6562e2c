"""The settings of who may call."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from app.auth.permissions import Permissions, parse_permissions
from app.auth.tokens import parse_tokens
from app.core.section import File, Names, Section, check_content, setting
from app.reload.url import check_url

if TYPE_CHECKING:
    from app.core.address import Address


def _permissions(value: object) -> object:
    return parse_permissions(value) if isinstance(value, str) else value


_ALGORITHMS = ("RS256", "ES256", "EdDSA")
_Url = Annotated[str, AfterValidator(lambda text: text and check_url(text))]
_Permissions = Annotated[Permissions, NoDecode, BeforeValidator(_permissions)]


class AuthSettings(Section):
    """What calls need to be let in. Goes before `ServerSettings` in a class of both: it asks for `listen`."""

    auth_mode: Literal["none", "tokens", "jwt"] | None = setting(
        None,
        "`none`, `tokens` or `jwt`; `none` where every address is loopback, to be said anywhere else",
        right="none, tokens or jwt",
    )
    auth_tokens_file: File | None = setting(
        None, "for `tokens`: a file with one `name:token` a line", right="the path of a file that can be read"
    )
    jwt_algorithms: Names = setting(
        ",".join(_ALGORITHMS),
        "for `jwt`: how tokens may be signed; `HS256` can be added, for secrets that a JWKS file has",
        right="",
    )
    jwt_keys_file: File | None = setting(
        None,
        "for `jwt`: a file with the issuer's public keys, in PEM or as a JWKS",
        right="the path of a file that can be read",
    )
    jwt_jwks_url: _Url = setting(
        "", "for `jwt`, instead of the file: where the issuer serves its JWKS", right="a URL"
    )
    jwt_issuer: str = setting("", "for `jwt`: what the tokens' `iss` must be", right="a text")
    jwt_audience: str = setting("", "for `jwt`: what their `aud` must be or have", right="a text")
    jwt_leeway: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = setting(
        10,
        "for `jwt`: how far the issuer's clock may be from ours",
        right="a number of seconds from 0 to 60",
    )
    auth_require: _Permissions | None = setting(
        None,
        "for `tokens` and `jwt`: who may call what, as in"
        " `quotes.Quoter/AddQuotes scope:quotes.write or name:ann; calc.Calculator name:bob`",
        right="rules with a `;` between them",
    )

    @field_validator("auth_mode")
    @classmethod
    def _said_beyond_loopback(cls, value: str | None, info: ValidationInfo) -> str | None:
        listen: tuple[Address, ...] = info.data.get("listen", ())
        beyond = [str(address) for address in listen if not address.loopback]
        if value is None and beyond:
            raise ValueError(
                f"it must be said, because {beyond[0]} can be reached from other machines:"
                " tokens or jwt, or none to serve everybody"
            )
        return value or "none"

    @field_validator("auth_tokens_file")
    @classmethod
    def _tokens(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if _counts(value is not None, "tokens", info):
            if value is None:
                raise ValueError("APP_AUTH_MODE=tokens needs it: a file with one name:token a line")
            check_content(value, parse_tokens)
        return value

    @field_validator("jwt_algorithms")
    @classmethod
    def _known(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        wrong = [name for name in value if name not in {*_ALGORITHMS, "HS256"}]
        if wrong or not value:
            raise ValueError(f"{', '.join(wrong)!r} is none of {', '.join(_ALGORITHMS)} and HS256")
        _counts(value != _ALGORITHMS, "jwt", info)
        return value

    @field_validator("jwt_keys_file")
    @classmethod
    def _keys(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if _counts(value is not None, "jwt", info) and value is not None and "jwt_algorithms" in info.data:
            # Imported only where it is used: it takes a tenth of the time that the server takes to start.
            from app.auth.jwt_keys import parse_keys  # noqa: PLC0415

            check_content(value, lambda content: parse_keys(content, info.data["jwt_algorithms"]))
        return value

    @field_validator("jwt_jwks_url")
    @classmethod
    def _one_source(cls, value: str, info: ValidationInfo) -> str:
        if _counts(value != "", "jwt", info) and "jwt_keys_file" in info.data:
            if not value and info.data["jwt_keys_file"] is None:
                raise ValueError("APP_AUTH_MODE=jwt needs it, or APP_JWT_KEYS_FILE, for the issuer's keys")
            if value and info.data["jwt_keys_file"] is not None:
                raise ValueError("leave it or APP_JWT_KEYS_FILE out: keys come from one place")
            if value and "HS256" in info.data.get("jwt_algorithms", ()):
                raise ValueError("HS256 needs a secret, and a secret comes from APP_JWT_KEYS_FILE alone")
        return value

    @field_validator("jwt_issuer", "jwt_audience")
    @classmethod
    def _said(cls, value: str, info: ValidationInfo) -> str:
        if _counts(value != "", "jwt", info) and not value:
            raise ValueError("APP_AUTH_MODE=jwt needs it, as the tokens have it")
        return value

    @field_validator("jwt_leeway")
    @classmethod
    def _leeway(cls, value: float, info: ValidationInfo) -> float:
        _counts(value != cls.model_fields["jwt_leeway"].default, "jwt", info)
        return value

    @field_validator("auth_require")
    @classmethod
    def _can_be_met(cls, value: Permissions | None, info: ValidationInfo) -> Permissions | None:
        mode = info.data.get("auth_mode")
        if value is not None and mode == "none":
            raise ValueError("it counts only with APP_AUTH_MODE=tokens or jwt; say one, or leave it out")
        scopes = [scope for permission in (value or {}).values() for scope in permission.scopes]
        if scopes and mode == "tokens":
            raise ValueError(f"scope:{scopes[0]} can be met with APP_AUTH_MODE=jwt only; require names")
        return value


def _counts(given: bool, mode: str, info: ValidationInfo) -> bool:
    """Whether the setting counts in the mode that is set. Raises ValueError where it is given in vain."""
    found: Any = info.data.get("auth_mode")  # None: it was wrong itself
    if given and found not in {None, mode}:
        raise ValueError(f"it counts only with APP_AUTH_MODE={mode}; say that, or leave it out")
    return bool(found == mode)
