import grpc

from app.gen import helloworld_pb2, helloworld_pb2_grpc


def test_the_greeter_greets_by_name(channel: grpc.Channel) -> None:
    stub = helloworld_pb2_grpc.GreeterStub(channel)
    for name in ("World", "", "Ångström"):
        reply = stub.SayHello(helloworld_pb2.HelloRequest(name=name), timeout=5)
        assert reply.message == f"Hello, {name}"
