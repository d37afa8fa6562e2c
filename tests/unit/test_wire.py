"""The wire that published clients speak. It is written out here, for their stubs do not change with ours."""

import pytest
from google.protobuf.descriptor import FieldDescriptor

from app.services import SERVICES

TEXT, INT32, BOOL, FLOAT = (
    FieldDescriptor.TYPE_STRING,
    FieldDescriptor.TYPE_INT32,
    FieldDescriptor.TYPE_BOOL,
    FieldDescriptor.TYPE_FLOAT,
)
OPERANDS = [("n1", 1, INT32), ("n2", 2, INT32)]
QUOTE = [("quote", 1, TEXT), ("author", 2, TEXT)]

# Method: the fields of its request and of its reply, by name, number and type.
WIRE = {
    "quotes.Quoter/GetQuote": ([("author", 1, TEXT)], QUOTE),
    "helloworld.Greeter/SayHello": ([("name", 1, TEXT)], [("message", 1, TEXT)]),
    "grpctest.Grpctest/GetServerResponse": (
        [("message", 1, TEXT)],
        [("message", 1, TEXT), ("received", 2, BOOL)],
    ),
    "calc.Calculator/Add": (OPERANDS, [("n1", 1, INT32)]),
    "calc.Calculator/Substract": (OPERANDS, [("n1", 1, INT32)]),
    "calc.Calculator/Subtract": (OPERANDS, [("n1", 1, INT32)]),
    "calc.Calculator/Multiply": (OPERANDS, [("n1", 1, INT32)]),
    "calc.Calculator/Divide": (OPERANDS, [("f1", 1, FLOAT)]),
}
MESSAGES = {
    "quotes.Quoter/GetQuote": ("QuoteRequest", "QuoteReply"),
    "helloworld.Greeter/SayHello": ("HelloRequest", "HelloReply"),
    "grpctest.Grpctest/GetServerResponse": ("Message", "MessageResponse"),
    "calc.Calculator/Add": ("AddRequest", "AddReply"),
    "calc.Calculator/Substract": ("SubstractRequest", "SubstractReply"),
    "calc.Calculator/Subtract": ("SubstractRequest", "SubstractReply"),
    "calc.Calculator/Multiply": ("MultiplyRequest", "MultiplyReply"),
    "calc.Calculator/Divide": ("DivideRequest", "DivideReply"),
}
METHODS = {
    f"{service.name}/{method.name}": method for service in SERVICES for method in service.descriptor.methods
}


@pytest.mark.parametrize("name", WIRE)
def test_a_published_method_keeps_its_messages_fields_numbers_and_types(name: str) -> None:
    method = METHODS[name]
    assert (method.input_type.name, method.output_type.name) == MESSAGES[name]
    assert not method.client_streaming
    assert not method.server_streaming
    for message, expected in zip((method.input_type, method.output_type), WIRE[name], strict=True):
        assert [(field.name, field.number, field.type) for field in message.fields] == expected


def test_the_quoter_has_a_method_of_each_arity() -> None:
    arities = {
        name: (
            METHODS[f"quotes.Quoter/{name}"].client_streaming,
            METHODS[f"quotes.Quoter/{name}"].server_streaming,
        )
        for name in ("GetQuote", "ListQuotes", "AddQuotes", "Converse")
    }
    assert arities == {
        "GetQuote": (False, False),
        "ListQuotes": (False, True),
        "AddQuotes": (True, False),
        "Converse": (True, True),
    }


def test_the_files_have_the_names_that_tutorials_generate_their_stubs_from() -> None:
    files = [service.descriptor.file.name for service in SERVICES]
    assert files == ["quote_service.proto", "helloworld.proto", "grpctest.proto", "Calc.proto"]
