"""The wire that published clients speak, written out: their stubs do not change with ours."""

from app.services.greeter import GREETER
from tests.support.wire import TEXT, wire


def test_the_published_method_keeps_its_messages_fields_numbers_and_types() -> None:
    assert GREETER.name == "helloworld.Greeter"
    assert wire(GREETER.descriptor) == {
        "SayHello": (("HelloRequest", [("name", 1, TEXT)]), ("HelloReply", [("message", 1, TEXT)]))
    }


def test_the_file_has_the_name_that_tutorials_generate_their_stubs_from() -> None:
    assert GREETER.descriptor.file.name == "helloworld.proto"
