"""The names of status codes in metrics and logs."""

import grpc


def _go_spelling(code: grpc.StatusCode) -> str:
    if code is grpc.StatusCode.OK:
        return "OK"
    if code is grpc.StatusCode.CANCELLED:
        return "Canceled"
    return code.name.title().replace("_", "")


# In Go's spelling (codes.Code.String): OK, NotFound, Canceled. Published dashboards and alerts match on it.
CODE_LABELS = {code: _go_spelling(code) for code in grpc.StatusCode}
