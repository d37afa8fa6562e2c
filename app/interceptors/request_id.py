"""A name for each call, the caller's own where it sent one, in logs and in the reply's metadata."""

import re
from random import getrandbits

from app.core.call import Call
from app.core.metadata import REQUEST_ID
from app.interceptors.concern import Concern

# What is safe in a log line and in a header; anything else is replaced by an id of ours.
_FORM = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class RequestId(Concern):
    """Sets `call.request_id` and sends it back as trailing metadata `x-request-id`."""

    def accept(self, call: Call) -> None:
        given = call.headers.get(REQUEST_ID)
        if isinstance(given, str) and _FORM.fullmatch(given):
            call.request_id = given
        else:
            call.request_id = f"{getrandbits(128):032x}"
        call.add_trailing_metadata(((REQUEST_ID, call.request_id),))
