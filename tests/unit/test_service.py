from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from app.core.database import Schema
from app.core.section import Section
from app.core.service import Service
from tests.gen import probe_pb2, probe_pb2_grpc
from tests.support.servers.probe import Probe


def test_a_rule_for_a_method_that_does_not_exist_is_an_error_with_the_methods_that_do() -> None:
    with pytest.raises(ValueError, match="'Unairy', which is not a method; expected Unary, ServerStream"):
        Service(
            descriptor=probe_pb2.DESCRIPTOR.services_by_name["Probe"],
            add_to_server=probe_pb2_grpc.add_ProbeServicer_to_server,
            open=lambda _settings: nullcontext(Probe()),
            rules={"Unairy": lambda _request: iter(())},
        )


def service(**fields: Any) -> Service[Any]:
    return Service(
        descriptor=probe_pb2.DESCRIPTOR.services_by_name["Probe"],
        add_to_server=probe_pb2_grpc.add_ProbeServicer_to_server,
        **fields,
    )


def test_a_service_with_a_schema_is_opened_with_the_database_and_others_without() -> None:
    schema = Schema(name="probe", migrations=Path("migrations"))
    database: Any = object()
    stored = service(schema=schema, open_stored=lambda _settings, given: nullcontext(given))
    with stored.opened(Section(), database) as servicer:
        assert servicer is database
    plain = service(open=lambda _settings: nullcontext("servicer"))
    with plain.opened(Section(), None) as servicer:
        assert servicer == "servicer"


def test_a_service_has_one_way_of_being_opened_and_that_with_a_database_needs_a_schema() -> None:
    def opened(*_arguments: object) -> Any:
        return nullcontext(Probe())

    with pytest.raises(ValueError, match=r"probe.Probe: expected one of open and open_stored"):
        service()
    with pytest.raises(ValueError, match="expected one of open and open_stored"):
        service(open=opened, open_stored=opened)
    with pytest.raises(ValueError, match="schema and open_stored go together"):
        service(open_stored=opened)
