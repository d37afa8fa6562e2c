"""The verifier of tokens, as the settings describe it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import structlog
from prometheus_client import CollectorRegistry, Gauge

from app.auth.auth_settings import AuthSettings
from app.auth.caller import Verify
from app.auth.tokens import TokenVerifier, parse_tokens
from app.core.errors import StartError
from app.reload.file import WatchedFile
from app.reload.url import WatchedUrl


@contextmanager
def verifier(settings: AuthSettings, registry: CollectorRegistry) -> Iterator[Verify | None]:
    """Yields the function that verifies a token; None where calls need no token. Raises StartError.

    Tokens and keys are reloaded when their file or URL changes, until exit. The registry gets the time of the
    last valid response of the URL.
    """
    with ExitStack() as parts:
        if settings.auth_mode == "none":
            yield None
        elif settings.auth_tokens_file is not None:
            tokens = parts.enter_context(WatchedFile(settings.auth_tokens_file, parse_tokens))
            yield TokenVerifier(lambda: tokens.value)
        else:
            yield _jwt(settings, registry, parts)


def _jwt(settings: AuthSettings, registry: CollectorRegistry, parts: ExitStack) -> Verify:
    # Imported only where they are used: it takes a tenth of the time that the server takes to start.
    from app.auth.claims import ExpectedClaims
    from app.auth.jwt import JwtVerifier
    from app.auth.jwt_keys import Keys, parse_jwks, parse_keys

    def read(parse: Callable[[bytes, tuple[str, ...]], Keys]) -> Callable[[bytes], Keys]:
        def logged(content: bytes) -> Keys:
            keys = parse(content, settings.jwt_algorithms)
            structlog.get_logger().info("jwt_keys_loaded", keys=keys.names, skipped=keys.skipped)
            return keys

        return logged

    expected = ExpectedClaims(settings.jwt_issuer, settings.jwt_audience, settings.jwt_leeway)
    if settings.jwt_keys_file is not None:
        file = parts.enter_context(WatchedFile(settings.jwt_keys_file, read(parse_keys)))
        return JwtVerifier(lambda: file.value, expected)
    try:
        url = parts.enter_context(WatchedUrl(settings.jwt_jwks_url, read(parse_jwks)))
    except StartError as error:
        raise StartError(f"APP_JWT_JWKS_URL: {error}") from error
    fetched = Gauge(
        "jwt_keys_last_fetch_timestamp_seconds",
        "When the issuer's keys were last fetched, as a Unix timestamp in seconds.",
        registry=registry,
    )
    fetched.set_function(lambda: url.fetched)
    return JwtVerifier(lambda: url.value, expected, missing=url.ask)
