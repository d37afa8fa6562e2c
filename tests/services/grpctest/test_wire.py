"""The wire that published clients speak, written out: their stubs do not change with ours."""

from app.services.grpctest import GRPCTEST
from tests.support.wire import BOOL, TEXT, wire


def test_the_published_method_keeps_its_messages_fields_numbers_and_types() -> None:
    assert GRPCTEST.name == "grpctest.Grpctest"
    assert wire(GRPCTEST.descriptor) == {
        "GetServerResponse": (
            ("Message", [("message", 1, TEXT)]),
            ("MessageResponse", [("message", 1, TEXT), ("received", 2, BOOL)]),
        )
    }


def test_the_file_has_the_name_that_tutorials_generate_their_stubs_from() -> None:
    assert GRPCTEST.descriptor.file.name == "grpctest.proto"
