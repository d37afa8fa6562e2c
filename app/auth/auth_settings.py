"""The settings of authentication and authorization."""

from typing import Annotated, Literal, get_args

from annotated_types import Interval, Unit

from app.auth.permissions import Permissions, parse_permissions
from app.auth.tokens import parse_tokens
from app.core.section import File, Parser, Section, check, check_content, setting
from app.reload.url import check_url, is_secure

Mode = Literal["none", "tokens", "jwt"]

Algorithm = Literal["RS256", "ES256", "EdDSA", "HS256"]

_ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
_DEFAULT_ALGORITHMS: tuple[Algorithm, ...] = ("RS256", "ES256", "EdDSA")


def _algorithms(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in _ALGORITHMS:
            raise ValueError(f"{name!r} is not an algorithm; expected {', '.join(_ALGORITHMS)}")
    return names


_Algorithms = Annotated[tuple[Algorithm, ...], Parser(_algorithms, "names, separated by commas")]


class AuthSettings(Section):
    auth_mode: Mode | None = setting(
        None, "`none`, `tokens` or `jwt`; `none` when unset and every address is loopback, required otherwise"
    )
    auth_tokens_file: File | None = setting(
        None, "for `tokens`: a file with one `name:token` per line", shown=True
    )
    jwt_algorithms: _Algorithms = setting(
        _DEFAULT_ALGORITHMS,
        "for `jwt`: the accepted signature algorithms; `HS256` can be added, for secrets in a JWKS file",
        shown=True,
    )
    jwt_keys_file: File | None = setting(
        None, "for `jwt`: a file with the issuer's public keys, in PEM or as a JWKS", shown=True
    )
    jwt_jwks_url: Annotated[str, Parser(check_url, "a URL")] = setting(
        "", "for `jwt`, instead of the file: the URL of the issuer's JWKS"
    )
    jwt_jwks_allow_http: bool = setting(
        False, "for `jwt`: permit a JWKS URL of http; anyone on the network path can then forge tokens"
    )
    jwt_issuer: str = setting("", "for `jwt`: the required `iss` of tokens", shown=True)
    jwt_audience: str = setting("", "for `jwt`: the required `aud` of tokens, or one of several", shown=True)
    jwt_leeway: Annotated[float, Interval(ge=0, le=60), Unit("seconds")] = setting(
        10, "for `jwt`: the tolerated clock difference to the issuer"
    )
    auth_require: Annotated[Permissions, Parser(parse_permissions, "rules, separated by `;`")] | None = (
        setting(
            None,
            "for `tokens` and `jwt`: who may call what, as in"
            " `acme.inventory.v1.InventoryService/GetItem scope:items.read or name:ann`",
        )
    )

    @check("auth_tokens_file")
    def _tokens(self) -> None:
        if self._applies("tokens", given=self.auth_tokens_file is not None):
            if self.auth_tokens_file is None:
                raise ValueError("required with APP_AUTH_MODE=tokens: a file with one name:token per line")
            check_content(self.auth_tokens_file, parse_tokens)

    @check("jwt_algorithms")
    def _used_algorithms(self) -> None:
        self._applies("jwt", given=self.jwt_algorithms != _DEFAULT_ALGORITHMS)

    @check("jwt_keys_file")
    def _keys(self) -> None:
        if self._applies("jwt", given=self.jwt_keys_file is not None) and self.jwt_keys_file is not None:
            # Imported only where it is used: it takes a tenth of the time that the server takes to start.
            from app.auth.jwt_keys import parse_keys

            algorithms = self.jwt_algorithms
            check_content(self.jwt_keys_file, lambda content: parse_keys(content, algorithms))

    @check("jwt_jwks_url")
    def _one_source_of_keys(self) -> None:
        url, file = self.jwt_jwks_url, self.jwt_keys_file
        if self._applies("jwt", given=url != ""):
            if not url and file is None:
                raise ValueError("required with APP_AUTH_MODE=jwt, unless APP_JWT_KEYS_FILE is set")
            if url and not is_secure(url) and not self.jwt_jwks_allow_http:
                raise ValueError(
                    f"{url!r} is not secure; expected https, or http to a loopback address;"
                    " to permit it, set APP_JWT_JWKS_ALLOW_HTTP=true"
                )
            if url and file is not None:
                raise ValueError("not valid with APP_JWT_KEYS_FILE; set one of the two")
            if url and "HS256" in self.jwt_algorithms:
                raise ValueError("not valid with HS256, whose secret is read from APP_JWT_KEYS_FILE only")

    @check("jwt_jwks_allow_http")
    def _used_permission(self) -> None:
        self._applies("jwt", given=self.jwt_jwks_allow_http)

    @check("jwt_issuer")
    def _issuer(self) -> None:
        if self._applies("jwt", given=self.jwt_issuer != "") and not self.jwt_issuer:
            raise ValueError("required with APP_AUTH_MODE=jwt")

    @check("jwt_audience")
    def _audience(self) -> None:
        if self._applies("jwt", given=self.jwt_audience != "") and not self.jwt_audience:
            raise ValueError("required with APP_AUTH_MODE=jwt")

    @check("jwt_leeway")
    def _used_leeway(self) -> None:
        self._applies("jwt", given=self.jwt_leeway != AuthSettings().jwt_leeway)

    @check("auth_require")
    def _satisfiable(self) -> None:
        if self.auth_require is None:
            return
        if self.auth_mode in {None, "none"}:
            raise ValueError("only valid with APP_AUTH_MODE=tokens or jwt")
        scopes = [scope for permission in self.auth_require.values() for scope in permission.scopes]
        if scopes and self.auth_mode == "tokens":
            raise ValueError(f"scope:{scopes[0]} requires APP_AUTH_MODE=jwt; with tokens, expected name:…")

    def _applies(self, mode: Mode, *, given: bool) -> bool:
        """Whether a setting has an effect. Raises ValueError where it is given and has none."""
        if given and self.auth_mode != mode:
            raise ValueError(f"only valid with APP_AUTH_MODE={mode}")
        return self.auth_mode == mode
