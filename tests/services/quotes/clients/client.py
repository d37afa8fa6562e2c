import grpc

import quote_service_pb2
import quote_service_pb2_grpc


def run():
    channel = grpc.insecure_channel("localhost:5050")
    stub = quote_service_pb2_grpc.QuoterStub(channel)
    for author in ["Mark Twain", "", ""]:
        response = stub.GetQuote(quote_service_pb2.QuoteRequest(author=author))
        print(f"{response.quote} ~ {response.author}")


if __name__ == "__main__":
    run()
