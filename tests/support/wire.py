"""The wire of a method, written out: its messages' names, and their fields by name, number and type."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor

TEXT, INT32, BOOL, FLOAT = (
    FieldDescriptor.TYPE_STRING,
    FieldDescriptor.TYPE_INT32,
    FieldDescriptor.TYPE_BOOL,
    FieldDescriptor.TYPE_FLOAT,
)

Field = tuple[str, int, int]
Message = tuple[str, list[Field]]


def wire(service: ServiceDescriptor) -> dict[str, tuple[Message, Message]]:
    """Request and reply of each unary method, by the method's name."""
    return {
        method.name: (_message(method.input_type), _message(method.output_type))
        for method in service.methods
        if arity(method) == "unary"
    }


def arity(method: MethodDescriptor) -> str:
    names = {(False, False): "unary", (False, True): "server", (True, False): "client", (True, True): "bidi"}
    return names[method.client_streaming, method.server_streaming]


def _message(message: Descriptor) -> Message:
    return message.name, [(field.name, field.number, field.type) for field in message.fields]
