const path = require("path");
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");

const PROTO_PATH = path.join(__dirname, "../../../../../protos/Calc.proto");

const definition = protoLoader.loadSync(PROTO_PATH, { keepCase: true, defaults: true });
const calc = grpc.loadPackageDefinition(definition).calc;

function main() {
  const client = new calc.Calculator("localhost:50050", grpc.credentials.createInsecure());
  const numbers = { n1: 20, n2: 10 };

  client.add(numbers, (error, reply) => {
    if (error) throw error;
    console.log(reply.n1);
    client.substract(numbers, (error, reply) => {
      if (error) throw error;
      console.log(reply.n1);
      client.multiply(numbers, (error, reply) => {
        if (error) throw error;
        console.log(reply.n1);
        client.divide(numbers, (error, reply) => {
          if (error) throw error;
          console.log(reply.f1);
          client.close();
        });
      });
    });
  });
}

main();
