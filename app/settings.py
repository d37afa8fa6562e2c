"""All settings of the process: the server's and each service's, in one class."""

from pydantic import field_validator

from app.auth.auth_settings import AuthSettings
from app.auth.permissions import Permissions
from app.runtime.server_settings import ServerSettings
from app.services import SERVICES
from app.services.quotes.quotes_settings import QuoterSettings
from app.tls.tls_settings import TlsSettings


class Settings(QuoterSettings, AuthSettings, TlsSettings, ServerSettings):
    """A service that has settings of its own adds its class to the bases."""

    @field_validator("services")
    @classmethod
    def _served_here(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = [service.name for service in SERVICES]
        for name in value:
            if name not in names:
                raise ValueError(f"{name!r} is not a service of this program; choose of {', '.join(names)}")
        return value or tuple(names)

    @field_validator("auth_require")
    @classmethod
    def _required_here(cls, value: Permissions | None) -> Permissions | None:
        methods = {service.name: [one.name for one in service.descriptor.methods] for service in SERVICES}
        for target in value or {}:
            service, slash, method = target.partition("/")
            if service not in methods:
                raise ValueError(
                    f"{service!r} is not a service of this program; choose of {', '.join(methods)}"
                )
            if slash and method not in methods[service]:
                raise ValueError(
                    f"{service} has no method {method!r}; choose of {', '.join(methods[service])}"
                )
        return value
