import grpc

from app.gen import grpctest_pb2, grpctest_pb2_grpc


def test_the_reply_has_the_message_that_was_received(channel: grpc.Channel) -> None:
    stub = grpctest_pb2_grpc.GrpctestStub(channel)
    reply = stub.GetServerResponse(grpctest_pb2.Message(message="Up?"), timeout=5)
    assert reply.received
    assert reply.message == 'Hello I am up and running received "Up?" message from you'
