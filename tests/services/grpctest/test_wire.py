"""The wire that published clients speak, written out: their stubs do not change with ours."""

from app.services.grpctest import GRPCTEST
from tests.support.wire import BOOL, TEXT, wire


def test_grpctest_keeps_its_published_messages_fields_numbers_and_types() -> None:
    assert GRPCTEST.name == "grpctest.Grpctest"
    assert wire(GRPCTEST.descriptor) == {
        "GetServerResponse": (
            ("Message", [("message", 1, TEXT)]),
            ("MessageResponse", [("message", 1, TEXT), ("received", 2, BOOL)]),
        )
    }


def test_grpctest_keeps_its_proto_file_name() -> None:
    assert GRPCTEST.descriptor.file.name == "grpctest.proto"
