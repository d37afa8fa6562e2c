"""Labels and buckets of go-grpc-prometheus, the same on servers and clients."""

LABELS = ("grpc_type", "grpc_service", "grpc_method")

# prometheus.DefBuckets of the Go client, in seconds; the default of the Python client differs.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
