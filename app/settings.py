"""All settings of the process: the server's and each service's, in one class."""

from pydantic import field_validator

from app.core.settings import ServerSettings
from app.services import SERVICES
from app.services.quoter.settings import QuoterSettings


class Settings(QuoterSettings, ServerSettings):
    """A service that has settings of its own adds its class to the bases."""

    @field_validator("services")
    @classmethod
    def _served_here(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = [service.name for service in SERVICES]
        for name in value:
            if name not in names:
                raise ValueError(f"{name!r} is not a service of this program; choose of {', '.join(names)}")
        return value or tuple(names)
