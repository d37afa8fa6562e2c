"""The name of the image: one registry, the repository, and the digest or the tag."""

from typing import Any

import pytest
import yaml

from app.core.name import NAME
from tests.chart.chart import pod, refusal, rendered
from tests.support.chart import CHART

REGISTRY = yaml.safe_load((CHART / "values.yaml").read_text())["image"]["registry"]
GLOBAL = {"global": {"imageRegistry": "r.example"}}


def images(values: dict[str, Any]) -> set[str]:
    """The images of the server and of `helm test`."""
    objects = rendered(values)
    specs = (pod(objects)["spec"], objects[f"Pod/{NAME}-test"]["spec"])
    return {container["image"] for spec in specs for container in spec["containers"]}


@pytest.mark.parametrize(
    ("image", "alone", "with_global"),
    [
        ({}, f"{REGISTRY}/{NAME}", f"r.example/{NAME}"),
        ({"registry": "ghcr.io"}, f"ghcr.io/{NAME}", f"r.example/{NAME}"),
        ({"registry": "ghcr.io/me"}, f"ghcr.io/me/{NAME}", f"r.example/{NAME}"),
        ({"registry": "s.example", "repository": "me/q"}, "s.example/me/q", "r.example/me/q"),
        ({"registry": ""}, NAME, f"r.example/{NAME}"),
        ({"repository": "q"}, f"{REGISTRY}/q", "r.example/q"),
        # Whole names, which 0.1.0 took in image.repository.
        ({"repository": f"localhost/{NAME}"}, f"localhost/{NAME}", f"r.example/{NAME}"),
        ({"repository": f"ghcr.io/me/{NAME}"}, f"ghcr.io/me/{NAME}", f"r.example/me/{NAME}"),
        ({"repository": f"registry:5000/{NAME}"}, f"registry:5000/{NAME}", f"r.example/{NAME}"),
        ({"repository": "localhost:5000/me/q"}, "localhost:5000/me/q", "r.example/me/q"),
        ({"repository": f"me/{NAME}"}, f"me/{NAME}", f"r.example/me/{NAME}"),
        ({"registry": "", "repository": "ghcr.io/me/q"}, "ghcr.io/me/q", "r.example/me/q"),
    ],
)
def test_the_image_has_one_registry(image: dict[str, str], alone: str, with_global: str) -> None:
    values = {"image": image | {"tag": "1"}}
    assert images(values) == {f"{alone}:1"}
    assert images(values | GLOBAL) == {f"{with_global}:1"}


@pytest.mark.parametrize(
    "repository", [f"ghcr.io/me/{NAME}", f"localhost/me/{NAME}", f"registry:5000/me/{NAME}"]
)
def test_two_registries_of_one_image_are_an_error(repository: str) -> None:
    error = refusal({"image": {"registry": "r.example", "repository": repository}})
    own = repository.partition("/")[0]
    assert f"image.registry (r.example) and the registry in image.repository ({own}) conflict" in error
    assert f"set image.repository=me/{NAME}, or leave image.registry out" in error
