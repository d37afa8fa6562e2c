"""An id for each call, the caller's own where it sent one, in logs and in the reply's metadata."""

from random import getrandbits

from app.core.call import Call
from app.core.metadata import REQUEST_ID, SAFE_TEXT
from app.interceptors.concern import Concern


class RequestId(Concern):
    """Sets `call.request_id` and sends it back as trailing metadata `x-request-id`."""

    def accept(self, call: Call) -> None:
        given = call.headers.get(REQUEST_ID)
        if isinstance(given, str) and SAFE_TEXT.fullmatch(given):
            call.request_id = given
        else:
            call.request_id = getrandbits(128).to_bytes(16).hex()
        call.add_trailing_metadata(((REQUEST_ID, call.request_id),))
