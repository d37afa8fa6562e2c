"""How long a transaction may last: until the call's deadline, and while its client waits."""

import time

from app.core.call import CURRENT_CALL, Call
from app.core.errors import CallEnded, DeadlineExceeded

# Seconds for a transaction outside of calls, such as at the start.
ALONE = 5.0
# Seconds before the deadline in which what ends is said to end because of it.
NEAR = 0.05


class Bound:
    """The bound of one transaction. Safe from any thread."""

    def __init__(self, alone: float = ALONE) -> None:
        """For the call that is being served, or `alone` seconds outside of one."""
        self.call: Call | None = CURRENT_CALL.get()
        remaining = alone if self.call is None else self.call.time_remaining()
        self.ends_at = time.monotonic() + (alone if remaining is None else remaining)

    def left(self) -> float:
        """Seconds; 0 once it is over."""
        return max(0.0, self.ends_at - time.monotonic())

    def over(self) -> bool:
        return time.monotonic() >= self.ends_at or self._left_alone()

    def over_for(self, seconds: float) -> bool:
        """Whether it has been over for that long, or its client has left before the deadline."""
        now = time.monotonic()
        # A call stops being active at its deadline, too, by a clock that is a little different.
        return now >= self.ends_at + seconds or (now < self.ends_at - NEAR and self._left_alone())

    def _left_alone(self) -> bool:
        return self.call is not None and not self.call.is_active()

    def check(self, margin: float = 0) -> None:
        """Raises DeadlineExceeded or CallEnded if it is over, or will be in `margin` seconds."""
        if time.monotonic() >= self.ends_at - margin:
            raise DeadlineExceeded("the deadline passed while the call used the database")
        if self._left_alone():
            raise CallEnded
