import grpc

import grpctest_pb2 as pb2
import grpctest_pb2_grpc as pb2_grpc


class GrpctestClient(object):
    """Client for the Grpctest service."""

    def __init__(self):
        self.host = "localhost"
        self.server_port = 50051
        self.channel = grpc.insecure_channel("{}:{}".format(self.host, self.server_port))
        self.stub = pb2_grpc.GrpctestStub(self.channel)

    def get_url(self, message):
        """Sends the message, and returns what the server says to it."""
        message = pb2.Message(message=message)
        return self.stub.GetServerResponse(message)


if __name__ == "__main__":
    client = GrpctestClient()
    result = client.get_url(message="Hello Server you there?")
    print(f"{result}")
