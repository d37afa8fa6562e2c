"""A gRPC server: wiring.py puts it together, server.py runs it, cli.py is the command line."""
