"""The reasons for which a call is refused."""

from enum import StrEnum


class Refusal(StrEnum):
    """The gates' reasons, as the `reason` label has them. A gate sets `call.refusal` before it raises."""

    LIMIT = "limit"
    SHARE = "share"
    FIRST_MESSAGE = "first_message"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission_denied"
    DEADLINE = "deadline"
    VALIDATION = "validation"
    UNKNOWN_METHOD = "unknown_method"
    METADATA_SIZE = "metadata_size"
    MESSAGE_SIZE = "message_size"
