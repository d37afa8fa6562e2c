"""The name of the image: one registry, the repository, and the digest or the tag."""

from typing import Any

import pytest

from tests.chart.chart import pod, refusal, rendered

GLOBAL = {"global": {"imageRegistry": "r.example"}}


def images(values: dict[str, Any]) -> set[str]:
    """The images of the server and of `helm test`."""
    objects = rendered(values)
    specs = (pod(objects)["spec"], objects["Pod/quoter-test"]["spec"])
    return {container["image"] for spec in specs for container in spec["containers"]}


@pytest.mark.parametrize(
    ("image", "alone", "with_global"),
    [
        ({}, "localhost/quoter", "r.example/quoter"),
        ({"registry": "ghcr.io"}, "ghcr.io/quoter", "r.example/quoter"),
        ({"registry": "ghcr.io/me"}, "ghcr.io/me/quoter", "r.example/quoter"),
        ({"registry": "ghcr.io", "repository": "me/q"}, "ghcr.io/me/q", "r.example/me/q"),
        ({"registry": ""}, "quoter", "r.example/quoter"),
        ({"repository": "q"}, "localhost/q", "r.example/q"),
        # Whole names, which 0.1.0 took in image.repository.
        ({"repository": "localhost/quoter"}, "localhost/quoter", "r.example/quoter"),
        ({"repository": "ghcr.io/me/quoter"}, "ghcr.io/me/quoter", "r.example/me/quoter"),
        ({"repository": "registry:5000/quoter"}, "registry:5000/quoter", "r.example/quoter"),
        ({"repository": "localhost:5000/me/q"}, "localhost:5000/me/q", "r.example/me/q"),
        ({"repository": "me/quoter"}, "me/quoter", "r.example/me/quoter"),
        ({"registry": "", "repository": "ghcr.io/me/q"}, "ghcr.io/me/q", "r.example/me/q"),
    ],
)
def test_the_image_has_one_registry(image: dict[str, str], alone: str, with_global: str) -> None:
    values = {"image": image | {"tag": "1"}}
    assert images(values) == {f"{alone}:1"}
    assert images(values | GLOBAL) == {f"{with_global}:1"}


@pytest.mark.parametrize(
    "repository", ["ghcr.io/me/quoter", "localhost/me/quoter", "registry:5000/me/quoter"]
)
def test_two_registries_of_one_image_are_an_error(repository: str) -> None:
    error = refusal({"image": {"registry": "r.example", "repository": repository}})
    own = repository.partition("/")[0]
    assert f"image.registry (r.example) and the registry in image.repository ({own}) conflict" in error
    assert "set image.repository=me/quoter, or leave image.registry out" in error
