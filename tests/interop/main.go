// Command interop runs one of grpc-go's interop cases between two empty calls, all on one connection.
//
// grpc-go's own program opens a connection for its case. A case that the client ends may then be over before
// it is sent. Here the connection is open, and the last empty call leaves after the end of the case.
package main

import (
	"context"
	"flag"
	"log"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	pb "google.golang.org/grpc/interop/grpc_testing"
)

var cases = map[string]func(context.Context, pb.TestServiceClient, ...grpc.CallOption){
	"cancel_after_begin":         interop.DoCancelAfterBegin,
	"timeout_on_sleeping_server": interop.DoTimeoutOnSleepingServer,
}

func main() {
	target := flag.String("target", "", "the server's address")
	name := flag.String("case", "", "the case to run")
	token := flag.String("token", "", "the bearer token to send with each call")
	caFile := flag.String("ca_file", "", "the file of the server's CA; plaintext without it")
	flag.Parse()

	run, found := cases[*name]
	if !found {
		log.Fatalf("there is no case %q here", *name)
	}
	transport := insecure.NewCredentials()
	if *caFile != "" {
		var err error
		if transport, err = credentials.NewClientTLSFromFile(*caFile, "localhost"); err != nil {
			log.Fatal(err)
		}
	}
	conn, err := grpc.NewClient(*target,
		grpc.WithTransportCredentials(transport), grpc.WithPerRPCCredentials(bearer(*token)))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	ctx, client := context.Background(), pb.NewTestServiceClient(conn)
	interop.DoEmptyUnaryCall(ctx, client)
	run(ctx, client)
	interop.DoEmptyUnaryCall(ctx, client)
}

// bearer is a token that is sent with each call, in plaintext too.
type bearer string

func (token bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(token)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }
