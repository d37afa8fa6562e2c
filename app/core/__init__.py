"""What every other part may import: the call, its method, status codes, errors, metadata, a service."""
