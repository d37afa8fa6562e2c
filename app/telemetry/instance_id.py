"""The instance id of a server: `service.instance.id`."""

from random import getrandbits

from opentelemetry.sdk import resources
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, Resource

from app.core.metadata import SAFE_TEXT


def new_instance() -> str:
    """Returns eight random hexadecimal digits."""
    return f"{getrandbits(32):08x}"


def given_instance(resource: Resource) -> str:
    """Returns the resource's `service.instance.id` if it is set, and "" if the SDK generated it."""
    found = str(resource.attributes.get(SERVICE_INSTANCE_ID, ""))
    # An SDK that was put before ours from outside may be older, and generate none.
    detector = getattr(resources, "ServiceInstanceIdResourceDetector", None)
    generated = "" if detector is None else detector().detect().attributes[SERVICE_INSTANCE_ID]
    return "" if found == generated else found


def instance_of(resource: Resource | None, *, generated: bool = False) -> str:
    """Returns the given instance id, or a new one if there is none or it is too long or not printable.

    With `generated`, one that the SDK has generated is taken, too: spans have it.
    """
    given = "" if resource is None else given_instance(resource)
    if generated and resource is not None:
        given = given or str(resource.attributes.get(SERVICE_INSTANCE_ID, ""))
    return given if SAFE_TEXT.fullmatch(given) else new_instance()
