"""What the metrics of go-grpc-prometheus have in common, on servers and on clients."""

LABELS = ("grpc_type", "grpc_service", "grpc_method")

# prometheus.DefBuckets of the Go client, in seconds; Python's own default is another.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
