"""The wire that published clients speak, written out: their stubs do not change with ours."""

from app.services.greeter import GREETER
from tests.support.wire import TEXT, wire


def test_greeter_keeps_its_published_messages_fields_numbers_and_types() -> None:
    assert GREETER.name == "helloworld.Greeter"
    assert wire(GREETER.descriptor) == {
        "SayHello": (("HelloRequest", [("name", 1, TEXT)]), ("HelloReply", [("message", 1, TEXT)]))
    }


def test_greeter_keeps_its_proto_file_name() -> None:
    assert GREETER.descriptor.file.name == "helloworld.proto"
