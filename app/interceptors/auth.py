"""Authentication and authorization by the bearer token in `authorization` (RFC 6750, section 2.1)."""

from app.auth.bearer import bearer
from app.auth.caller import Verify
from app.auth.permissions import Permission, Permissions
from app.core.call import Call
from app.core.errors import PermissionDenied, Unauthenticated
from app.core.method import Method
from app.core.refusal import Refusal
from app.interceptors.concern import Concern


class Auth(Concern):
    """Verifies the token, and sets `call.principal` and `call.scopes`.

    Refuses a call without a valid token with UNAUTHENTICATED, and a caller who may not call the method with
    PERMISSION_DENIED. The messages say what is wrong and never repeat what was sent.
    """

    def __init__(self, verify: Verify, exempt: frozenset[str], permissions: Permissions) -> None:
        """`exempt` are full names of services that need no token; exact names, never prefixes."""
        self._verify = verify
        self._exempt = exempt
        self._permissions = permissions

    def for_method(self, method: Method) -> Concern | None:
        if method.service in self._exempt:
            return None
        own = self._permissions.get(f"{method.service}/{method.name}")
        return _MethodAuth(self._verify, own or self._permissions.get(method.service))


class _MethodAuth(Concern):
    def __init__(self, verify: Verify, permission: Permission | None) -> None:
        self._verify = verify
        self._permission = permission

    def start(self, call: Call) -> None:
        try:
            caller = self._verify(bearer(call))
        except Unauthenticated:
            call.refusal = Refusal.UNAUTHENTICATED
            raise
        call.principal, call.scopes = caller
        if self._permission is not None and not self._permission.granted_to(caller):
            call.refusal = Refusal.PERMISSION_DENIED
            raise PermissionDenied(f"the caller is not permitted to call {call.method.path}")
