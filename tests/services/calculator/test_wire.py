"""The wire that published clients speak, written out: their stubs do not change with ours."""

from app.services.calculator import CALCULATOR
from tests.support.wire import FLOAT, INT32, wire

OPERANDS = [("n1", 1, INT32), ("n2", 2, INT32)]


def test_the_published_methods_keep_their_messages_fields_numbers_and_types() -> None:
    assert CALCULATOR.name == "calc.Calculator"
    assert wire(CALCULATOR.descriptor) == {
        "Add": (("AddRequest", OPERANDS), ("AddReply", [("n1", 1, INT32)])),
        "Substract": (("SubstractRequest", OPERANDS), ("SubstractReply", [("n1", 1, INT32)])),
        "Subtract": (("SubstractRequest", OPERANDS), ("SubstractReply", [("n1", 1, INT32)])),
        "Multiply": (("MultiplyRequest", OPERANDS), ("MultiplyReply", [("n1", 1, INT32)])),
        "Divide": (("DivideRequest", OPERANDS), ("DivideReply", [("f1", 1, FLOAT)])),
    }


def test_calculator_keeps_its_proto_file_name() -> None:
    assert CALCULATOR.descriptor.file.name == "Calc.proto"
