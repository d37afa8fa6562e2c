"""Retries by gRPC (proposal A6): which methods, for which status codes, how often, and how they are limited.

gRPC retries a call if all of this holds:

- its method is marked as safe to repeat (`safe_to_repeat`), and its service was given to the channel;
- it failed with one of the policy's codes (`RetryPolicy.codes`);
- nothing of the response has arrived: after the first header or message the caller gets the error;
- fewer than `RetryPolicy.max_attempts` attempts were made;
- no more than 256 KiB of requests were sent, because they are sent again;
- the channel has tokens left (`RetryThrottling`);
- the server did not forbid it by `grpc-retry-pushback-ms`, which may also set the time of the next attempt.

One deadline covers all attempts and the waits between them. The channel's spans and metrics show one call;
servers see each attempt, with `grpc-previous-rpc-attempts` from the second one on.
"""

from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from app.client.validated_config import ValidatedConfig, duration

# UNAVAILABLE: there is no server, or it rejects calls. RESOURCE_EXHAUSTED: it has too many concurrent calls.
# Every other code is an answer, and a retry would end with it again.
CODES = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})

_SAFE = frozenset({MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT})


def safe_to_repeat(method: MethodDescriptor) -> bool:
    """Whether the proto has `option idempotency_level = NO_SIDE_EFFECTS;` or `IDEMPOTENT` for the method.

    For another team's service, add the option to the copy of its proto here: the wire format stays the same.
    """
    return method.GetOptions().idempotency_level in _SAFE


@dataclass(frozen=True, kw_only=True)
class RetryPolicy(ValidatedConfig):
    """How many attempts a call has, the first included, and how long to wait between them, in seconds.

    The waits grow by `multiplier` from `initial_backoff` to `max_backoff`. gRPC makes each up to 20 % shorter
    or longer, at random, so that clients which failed together do not retry together. A wait that the server
    requests replaces the next one, exactly.
    """

    max_attempts: int = 4
    initial_backoff: float = 0.1
    max_backoff: float = 1.0
    multiplier: float = 2.0
    codes: frozenset[grpc.StatusCode] = CODES

    def __post_init__(self) -> None:
        self._check_integer("max_attempts", 2, 5, "gRPC treats more as 5; retry=None turns retries off")
        # With a wait that is rounded to 0 ms, a call ends only by its deadline (grpc/grpc#41036).
        self._check_seconds("initial_backoff", 0.01, "gRPC may lose a call that waits for 1 ms")
        self._check_seconds("max_backoff", self.initial_backoff, "not less than initial_backoff")
        self._check_number("multiplier", 1, 100)
        self._check_type("codes", frozenset, "a frozenset of grpc.StatusCode")
        if not self.codes or not all(isinstance(code, grpc.StatusCode) for code in self.codes):
            self._reject("codes", "at least one grpc.StatusCode")
        if grpc.StatusCode.OK in self.codes:
            self._reject("codes", "codes other than OK")

    def as_dict(self) -> dict[str, Any]:
        return {
            "maxAttempts": self.max_attempts,
            "initialBackoff": duration(self.initial_backoff),
            "maxBackoff": duration(self.max_backoff),
            "backoffMultiplier": float(self.multiplier),
            "retryableStatusCodes": sorted(code.name for code in self.codes),
        }


@dataclass(frozen=True, kw_only=True)
class RetryThrottling(ValidatedConfig):
    """Stops retries while many calls fail, so that they do not make an outage worse.

    A channel starts with `max_tokens`. An attempt that fails with one of the policy's codes costs one token,
    a success returns `token_ratio`, and gRPC retries only while more than half of the tokens are left. So
    retries add fewer than `max_tokens / 2` calls per channel to an outage. If some of the calls fail for a
    long time, there are at most `1 + token_ratio` attempts per call.
    """

    max_tokens: int = 40
    token_ratio: float = 0.05

    def __post_init__(self) -> None:
        self._check_integer("max_tokens", 3, 1000, "with fewer, the first failure would stop retries")
        self._check_number("token_ratio", 0.001, 1, "gRPC counts in thousandths")

    def as_dict(self) -> dict[str, Any]:
        # As a decimal: gRPC reads 1 as a thousandth, and 1.0 as 1.
        return {"maxTokens": self.max_tokens, "tokenRatio": round(float(self.token_ratio), 3)}
