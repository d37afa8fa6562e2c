import pytest

from app.core.errors import CallEnded, DeadlineExceeded
from app.database.bound import Bound
from tests.support.bounds import call_of


def test_a_client_that_leaves_before_its_deadline_ends_the_transaction_at_once() -> None:
    with call_of(seconds=1000) as context:
        bound = Bound()
        assert not bound.over()
        assert not bound.over_for(0)
        context.leave()
        assert bound.over()
        assert bound.over_for(100)
        with pytest.raises(CallEnded):
            bound.check()


@pytest.mark.parametrize("leaves", [True, False])
def test_past_the_deadline_a_transaction_has_a_while_even_if_the_call_is_no_longer_active(
    leaves: bool,
) -> None:
    with call_of(seconds=0) as context:
        bound = Bound()
        if leaves:
            context.leave()
        assert bound.over()
        assert bound.over_for(0)
        assert not bound.over_for(1000)
        with pytest.raises(DeadlineExceeded):
            bound.check()
