"""Which status codes count as the server's fault: rules and dashboards take them from here.

A code that is not listed counts as a fault, one that gRPC adds later too, until somebody decides.
"""

# In Go's spelling, as metrics have them, and why the server is not at fault.
NO_FAULT = {
    "OK": "the call was answered",
    "Canceled": "the client gave up",
    "InvalidArgument": "the request is wrong",
    "NotFound": "the client asked for something that does not exist",
    "AlreadyExists": "the client creates something twice",
    "PermissionDenied": "the client may not call this",
    "Unauthenticated": "the client has no valid token",
    "FailedPrecondition": "the client has to change something first",
    "Aborted": "two clients changed the same thing; one has to try again",
    "OutOfRange": "the client reads past the end",
}

FAULT = {
    "Unknown": "an error without a code",
    "DeadlineExceeded": "the server was too slow for its client",
    "ResourceExhausted": "the server has too many calls, or a message is too large",
    "Unimplemented": "a method that is served has no implementation",
    "Internal": "a bug, or a malformed message",
    "Unavailable": "the server does not answer",
    "DataLoss": "data is lost",
}

FAULTY = f'grpc_code!~"{"|".join(NO_FAULT)}"'

# Calls that count: those of this project's own services. Probes would hide faults behind many fast answers,
# and methods that do not exist (`unknown`) are made up by clients.
OWN = 'grpc_service!~"unknown|grpc[.].+"'
