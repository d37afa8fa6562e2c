"""The service that the samples of the documentation call, generated from sample.proto."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from app.core.service import Service
from protos.generate import generate

PROTO = Path(__file__).with_suffix(".proto")

# A fork may have a service with the sample's name, so the package and its modules have other names here.
RENAMED = {"app.gen.": "documented_gen.", "acme.inventory": "documented.inventory"}


def renamed(text: str) -> str:
    """The text of a sample as it runs here."""
    for shown, here in RENAMED.items():
        text = text.replace(shown, here)
    return text


@dataclass(frozen=True)
class Sample:
    """The generated modules, and the service to serve."""

    pb: ModuleType
    stubs: ModuleType

    @property
    def service(self) -> Service[Any]:
        pb, stubs = self.pb, self.stubs

        class Inventory(stubs.InventoryServiceServicer):  # type: ignore[misc, name-defined]
            def GetItem(self, request: Any, context: object) -> Any:
                del context
                return pb.GetItemResponse(id=request.id, count=3)

        return Service(
            descriptor=pb.DESCRIPTOR.services_by_name["InventoryService"],
            add_to_server=stubs.add_InventoryServiceServicer_to_server,
            open=lambda _settings: nullcontext(Inventory()),
        )


@contextmanager
def generated(folder: Path) -> Iterator[Sample]:
    """Generates the sample's modules into the folder, from which they can be imported meanwhile."""
    path = folder / "protos" / "documented" / "inventory" / "v1" / "inventory.proto"
    path.parent.mkdir(parents=True)
    path.write_text(renamed(PROTO.read_text()))
    for name, text in generate(folder / "protos", "documented_gen").items():
        module = folder / "documented_gen" / name
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(text)
    sys.path.insert(0, str(folder))
    package = "documented_gen.documented.inventory.v1"
    yield Sample(
        importlib.import_module(f"{package}.inventory_pb2"),
        importlib.import_module(f"{package}.inventory_pb2_grpc"),
    )
    sys.path.remove(str(folder))
