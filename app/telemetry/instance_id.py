"""The instance id of a server: `service.instance.id`."""

from random import getrandbits

from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, Resource, ServiceInstanceIdResourceDetector

from app.core.metadata import SAFE_TEXT


def new_instance() -> str:
    """Returns eight random hexadecimal digits."""
    return f"{getrandbits(32):08x}"


def given_instance(resource: Resource) -> str:
    """Returns the resource's `service.instance.id` if it is set, and "" if the SDK generated it."""
    found = str(resource.attributes.get(SERVICE_INSTANCE_ID, ""))
    generated = ServiceInstanceIdResourceDetector().detect().attributes[SERVICE_INSTANCE_ID]
    return "" if found == generated else found


def instance_of(resource: Resource) -> str:
    """Returns the given instance id, or a new one if there is none or it is too long or not printable."""
    given = given_instance(resource)
    return given if SAFE_TEXT.fullmatch(given) else new_instance()
