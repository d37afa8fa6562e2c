"""Which of a service's servers this one is."""

from random import getrandbits

from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, Resource, ServiceInstanceIdResourceDetector

from app.core.metadata import SAFE_TEXT


def new_instance() -> str:
    """Eight hex digits, which tell servers apart and nothing else of them."""
    return f"{getrandbits(32):08x}"


def given_instance(resource: Resource) -> str:
    """The resource's `service.instance.id`, where somebody has said it; the SDK makes one up otherwise."""
    found = str(resource.attributes.get(SERVICE_INSTANCE_ID, ""))
    made_up = ServiceInstanceIdResourceDetector().detect().attributes[SERVICE_INSTANCE_ID]
    return "" if found == made_up else found


def instance_of(resource: Resource) -> str:
    """The given instance; a new one where there is none, or one that is long or unsafe to show."""
    given = given_instance(resource)
    return given if SAFE_TEXT.fullmatch(given) else new_instance()
