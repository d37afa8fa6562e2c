"""A gRPC service: server.py puts it together, cli.py is its command line."""
