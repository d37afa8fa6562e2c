import pytest

from app.core.errors import TooLarge
from app.core.stream_size import bounded
from tests.gen.probe_pb2 import ProbeRequest


def test_a_stream_ends_with_an_error_at_the_request_that_is_too_much() -> None:
    requests = [ProbeRequest(text="a" * 98)] * 3  # 100 bytes each, encoded
    assert list(bounded(iter(requests), 300)) == requests
    with pytest.raises(TooLarge, match="more than 299 bytes in all"):
        list(bounded(iter(requests), 299))
    limited = bounded(iter(requests), 299)
    assert [next(limited), next(limited)] == requests[:2]
