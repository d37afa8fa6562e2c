"""`make package` writes a chart whose default is the image that was pushed."""

from pathlib import Path

import pytest
import yaml

from deploy import checkout
from deploy.package import PackageError, package, with_image
from tests.chart.chart import KUBERNETES, helm
from tests.support.chart import CHART

VALUES = (CHART / "values.yaml").read_text()


def test_the_packaged_chart_runs_the_image_at_its_own_version(tmp_path: Path) -> None:
    package("registry.example.com:5000/me/sample", tmp_path)
    [archive] = tmp_path.iterdir()
    assert archive.name == f"{checkout.project()}-{checkout.version()}.tgz"
    assert (CHART / "values.yaml").read_text() == VALUES

    rendered = yaml.safe_load_all(
        helm("template", "sample", str(archive), "--kube-version", KUBERNETES).stdout
    )
    [deployment] = [one for one in rendered if one and one["kind"] == "Deployment"]
    images = {one["image"] for one in deployment["spec"]["template"]["spec"]["containers"]}
    assert images == {f"registry.example.com:5000/me/sample:{checkout.version()}"}


def test_nothing_but_registry_and_repository_is_changed() -> None:
    pairs = zip(VALUES.splitlines(), with_image(VALUES, "ghcr.io/me/sample").splitlines(), strict=True)
    changed = [after.strip() for before, after in pairs if before != after]
    assert changed == ["registry: ghcr.io/me", "repository: sample"]


@pytest.mark.parametrize(
    "image", ["", "sample", "ghcr.io/me/sample:1", "ghcr.io/Me/sample", "ghcr.io/me/a@b"]
)
def test_an_image_that_is_not_registry_and_name_is_an_error(image: str) -> None:
    with pytest.raises(
        PackageError, match=r"^invalid IMAGE .*: expected a registry and a name in lower case"
    ):
        with_image(VALUES, image)


def test_values_without_the_image_are_an_error() -> None:
    with pytest.raises(PackageError, match="does not begin its image with registry and repository"):
        with_image(VALUES.replace("\n  registry:", "\n  host:"), "ghcr.io/me/sample")
