from contextlib import nullcontext

import pytest

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
