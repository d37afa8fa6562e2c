"""Server reflection, under the name that tools ask for first, `v1`, and under `v1alpha`.

Both have the same messages on the wire. grpcio-reflection has those of `v1alpha` only.
"""

from collections.abc import Iterable
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

_V1ALPHA: Final = reflection.SERVICE_NAME
_V1: Final = "grpc.reflection.v1.ServerReflection"

REFLECTION = frozenset({_V1, _V1ALPHA})


def add_reflection(services: Iterable[str], server: grpc.Server) -> None:
    """Adds reflection of these services, by their full names, and of itself."""
    _describe_v1()
    servicer = reflection.ReflectionServicer([*services, *REFLECTION])
    add: Any = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
    add(servicer, server)
    messages: Any = reflection_pb2
    handler: Any = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=messages.ServerReflectionRequest.FromString,
        response_serializer=messages.ServerReflectionResponse.SerializeToString,
    )
    handlers = {"ServerReflectionInfo": handler}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_V1, handlers),))
    server.add_registered_method_handlers(_V1, handlers)


def _describe_v1() -> None:
    """Adds the description of `v1` to the pool that reflection looks in, unless it has one."""
    pool = descriptor_pool.Default()
    try:
        pool.FindServiceByName(_V1)
    except KeyError:
        file = descriptor_pb2.FileDescriptorProto()
        reflection_pb2.DESCRIPTOR.CopyToProto(file)
        file.name, file.package = "grpc/reflection/v1/reflection.proto", "grpc.reflection.v1"
        file.options.java_package = file.options.java_package.replace("v1alpha", "v1")
        file.options.go_package = file.options.go_package.replace("v1alpha", "v1")
        for message in file.message_type:
            for field in message.field:
                if field.type_name:  # of messages
                    field.type_name = _renamed(field.type_name)
        for service in file.service:
            for method in service.method:
                method.input_type, method.output_type = map(_renamed, (method.input_type, method.output_type))
        pool.AddSerializedFile(file.SerializeToString())


def _renamed(name: str) -> str:
    return name.replace(".grpc.reflection.v1alpha.", ".grpc.reflection.v1.")
