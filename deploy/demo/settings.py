"""The load of the demo, and its servers: small ones, so that faults show at a few calls per second."""

RPS = 40
WORKERS = 8
MAX_QUEUE_TIME = 0.5  # seconds
