"""Status codes in words."""

import grpc


def _go_spelling(code: grpc.StatusCode) -> str:
    if code is grpc.StatusCode.OK:
        return "OK"
    if code is grpc.StatusCode.CANCELLED:
        return "Canceled"
    return code.name.title().replace("_", "")


# In Go's spelling (codes.Code.String): OK, NotFound, Canceled. Metrics and logs have it, for published
# dashboards and alerts match on it.
CODE_LABELS = {code: _go_spelling(code) for code in grpc.StatusCode}
