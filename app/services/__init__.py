"""The services that this program serves. `make service` adds one; see docs/add-a-service.md."""

from typing import Any

from app.core.service import Service
from app.services.calculator import CALCULATOR
from app.services.greeter import GREETER
from app.services.grpctest import GRPCTEST
from app.services.quotes import QUOTES

SERVICES: tuple[Service[Any], ...] = (QUOTES, GREETER, GRPCTEST, CALCULATOR)
