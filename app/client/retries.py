"""Which calls gRPC makes again by itself, for which codes, and how often (gRPC proposal A6).

A call is made again only while nothing of its answer has come: after the first header or message of a
stream, a failure is the caller's. What has been sent of the requests is sent again, unless it is more than
256 KiB by then. One deadline covers all attempts and the waits between them. To the channel's spans and
metrics it stays one call; servers see each attempt, with `grpc-previous-rpc-attempts` from the second one on.
"""

from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from app.client.validated_config import ValidatedConfig, duration

# UNAVAILABLE: there is no server, or it does not take the call. RESOURCE_EXHAUSTED: it has as many calls as
# it takes. When to come again, or not to, a server says by `grpc-retry-pushback-ms`, which gRPC obeys. Every
# other code is an answer, and would come again.
CODES = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})

_SAFE = frozenset({MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT})


def safe_to_repeat(method: MethodDescriptor) -> bool:
    """Whether the method's proto says so, by `option idempotency_level = NO_SIDE_EFFECTS;` or `IDEMPOTENT`.

    A method of another team's can be marked in the copy of its proto here: nothing on the wire changes.
    """
    return method.GetOptions().idempotency_level in _SAFE


@dataclass(frozen=True, kw_only=True)
class RetryPolicy(ValidatedConfig):
    """How often a call is made, the first time included, and how long to wait in between, in seconds.

    The waits grow by `multiplier` from `initial_backoff` to `max_backoff`. gRPC makes each up to a fifth
    shorter or longer, at random, so that clients which failed together do not come again together. A wait
    that the server asks for stands in place of the next one, to the millisecond.
    """

    max_attempts: int = 4
    initial_backoff: float = 0.1
    max_backoff: float = 1.0
    multiplier: float = 2.0
    codes: frozenset[grpc.StatusCode] = CODES

    def __post_init__(self) -> None:
        self._whole("max_attempts", 2, 5, "gRPC takes more for 5; retry=None is for none")
        # With a wait that comes out as 0 ms, a call never ends but by its deadline (grpc/grpc#41036).
        self._seconds("initial_backoff", 0.01, "gRPC may lose a call that waits for a millisecond")
        self._seconds("max_backoff", self.initial_backoff, "it is no shorter than initial_backoff")
        self._number("multiplier", 1, 100, "the waits grow")
        self._kind("codes", frozenset, "a frozenset of grpc.StatusCode")
        if not self.codes or not all(isinstance(code, grpc.StatusCode) for code in self.codes):
            self._wrong("codes", "one grpc.StatusCode or several")
        if grpc.StatusCode.OK in self.codes:
            self._wrong("codes", "any code but OK", "it is no failure")

    def rendered(self) -> dict[str, Any]:
        return {
            "maxAttempts": self.max_attempts,
            "initialBackoff": duration(self.initial_backoff),
            "maxBackoff": duration(self.max_backoff),
            "backoffMultiplier": float(self.multiplier),
            "retryableStatusCodes": sorted(code.name for code in self.codes),
        }


@dataclass(frozen=True, kw_only=True)
class RetryThrottling(ValidatedConfig):
    """Ends retries while too much fails, so that they do not make an outage worse.

    A channel has `max_tokens`. An attempt that fails with one of the policy's codes takes one away, one that
    succeeds gives `token_ratio` back, and there are retries only while more than half are left. So an outage
    sees fewer than `max_tokens / 2` more calls from a channel than without retries, and where a part of the
    calls fails for long, there are no more than `1 + token_ratio` attempts to a call.
    """

    max_tokens: int = 40
    token_ratio: float = 0.05

    def __post_init__(self) -> None:
        self._whole("max_tokens", 3, 1000, "with fewer than 3 the first failure leaves no more than half")
        self._number("token_ratio", 0.001, 1, "gRPC counts in thousandths")

    def rendered(self) -> dict[str, Any]:
        # As a decimal: gRPC takes 1 for a thousandth, and 1.0 for 1.
        return {"maxTokens": self.max_tokens, "tokenRatio": round(float(self.token_ratio), 3)}
