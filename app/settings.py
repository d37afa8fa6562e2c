"""All settings of the process, composed of the sections of the frame and of the services."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from app.auth.auth_settings import AuthSettings
from app.core.environment import read, unknown
from app.core.errors import StartError
from app.core.section import Section, check, failed_checks, settings_of
from app.core.service import Service
from app.core.shown_setting import ShownSetting, shown_settings
from app.database.database_settings import DatabaseSettings
from app.runtime.server_settings import ServerSettings
from app.services import SERVICES
from app.tls.tls_settings import TlsSettings

AnySection = TypeVar("AnySection", bound=Section)

FRAME: Mapping[str, type[Section]] = {
    "Server": ServerSettings,
    "TLS": TlsSettings,
    "Authentication and authorization": AuthSettings,
    "Database": DatabaseSettings,
}

# A variable that begins so and is no setting is a mistake: the server may be less protected than was meant.
_PROTECTED = ("APP_AUTH_", "APP_JWT_", "APP_TLS_")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The sections, and the checks that concern more than one of them. Only `load` makes it."""

    server: ServerSettings
    auth: AuthSettings
    tls: TlsSettings
    database: DatabaseSettings
    # The services that the program has, whether or not they are served, and a section for each.
    services: tuple[Service[Any], ...]
    sections: Mapping[type[Section], Section]
    # Variables that begin as settings do, and are none: APP_ENV, for one, is set by many platforms.
    unknown_variables: tuple[str, ...]

    def of(self, service: Service[AnySection]) -> AnySection:
        return _section(self.sections, service.settings)

    def shown(self) -> dict[str, list[ShownSetting]]:
        """The settings in force, without secrets, by the titles of the sections that apply."""
        in_force = {**self.sections, ServerSettings: self.server, AuthSettings: self.auth}
        return {
            title: shown_settings(self.sections[kind], in_force[kind])
            for title, kind in sections(self.services).items()
            if settings_of(kind) and (title in FRAME or title in self.server.services)
        }

    @check("auth_mode")
    def _set_beyond_loopback(self) -> None:
        reachable = [address for address in self.server.listen if not address.loopback]
        if reachable and self.auth.auth_mode is None:
            raise ValueError(
                f"required, because {reachable[0]} is reachable from other machines;"
                " expected tokens or jwt, or none to let everyone call"
            )

    @check("services")
    def _known_services(self) -> None:
        for name in self.server.services:
            self._methods(name)

    @check("auth_require")
    def _known_methods(self) -> None:
        for target in self.auth.auth_require or {}:
            service, slash, method = target.partition("/")
            methods = self._methods(service)
            if slash and method not in methods:
                raise ValueError(f"{service} has no method {method!r}; expected {', '.join(methods)}")

    def _methods(self, name: str) -> list[str]:
        for service in self.services:
            if service.name == name:
                return [method.name for method in service.descriptor.methods]
        names = ", ".join(service.name for service in self.services)
        raise ValueError(f"unknown service {name!r}; expected {names}")


def load(
    environment: Mapping[str, str] = os.environ, services: Sequence[Service[Any]] = SERVICES
) -> Settings:
    """Reads all settings. Raises StartError with every mistake, each on a line that names its variable."""
    kinds = list(dict.fromkeys(sections(services).values()))
    mistakes, unknown_variables = [], []
    for name, close in unknown(environment, kinds).items():
        if close or name.startswith(_PROTECTED):
            mistakes.append(f"{name}: unknown setting" + (f"; did you mean {close}?" if close else ""))
        else:
            unknown_variables.append(name)
    found = {kind: read(kind, environment, mistakes) for kind in kinds}

    settings = Settings(
        server=_section(found, ServerSettings),
        auth=_section(found, AuthSettings),
        tls=_section(found, TlsSettings),
        database=_section(found, DatabaseSettings),
        services=tuple(services),
        sections=found,
        unknown_variables=tuple(unknown_variables),
    )
    mistakes += failed_checks(settings)
    if mistakes:
        raise StartError("\n".join(mistakes))
    return _with_defaults(settings)


def sections(services: Sequence[Service[Any]] = SERVICES) -> dict[str, type[Section]]:
    """The sections by their titles in the documentation. A service's title is its name."""
    return {**FRAME, **{service.name: service.settings for service in services}}


def _section(found: Mapping[type[Section], Section], kind: type[AnySection]) -> AnySection:
    return cast("AnySection", found[kind])  # each class is the key of its own instance


def _with_defaults(settings: Settings) -> Settings:
    """With the defaults that follow from other settings. They have passed all checks."""
    server, auth = settings.server, settings.auth
    if server.reflection is None:
        server = replace(server, reflection=all(address.loopback for address in server.listen))
    if server.status_page is None:
        local = all(address.loopback for address in server.metrics_listen)
        server = replace(server, status_page="full" if local else "none")
    if not server.services:
        server = replace(server, services=tuple(service.name for service in settings.services))
    if auth.auth_mode is None:  # every address is loopback, or the check above had failed
        auth = replace(auth, auth_mode="none")
    return replace(settings, server=server, auth=auth)
