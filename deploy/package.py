"""Packages the chart in `dist/` with another image as its default: `make package IMAGE=ghcr.io/me/name`."""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy import checkout
from deploy.checkout import ROOT

HELM = ROOT / ".venv" / "bin" / "helm"
# The first two values of the chart's image, up to the comments between them.
IMAGE = re.compile(r"^image:\n(?:  #.*\n)*  registry: (.*)\n(?:  #.*\n)*  repository: (.*)\n", re.MULTILINE)
NAME = re.compile(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)+")


class PackageError(Exception):
    """Why the chart cannot be packaged."""


def with_image(values: str, image: str) -> str:
    """The text of values.yaml with this image, whose tag is the chart's appVersion. Raises PackageError."""
    if not NAME.fullmatch(image):
        expected = "a registry and a name in lower case without tag and digest, such as ghcr.io/me/name"
        raise PackageError(f"invalid IMAGE {image!r}: expected {expected}")
    registry, _, repository = image.rpartition("/")
    found = IMAGE.search(values)
    if found is None:
        raise PackageError("values.yaml does not begin its image with registry and repository")
    parts = (values[: found.start(1)], registry, values[found.end(1) : found.start(2)], repository)
    return "".join(parts) + values[found.end(2) :]


def package(image: str, destination: Path) -> str:
    """Returns what helm prints. Raises PackageError."""
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder, checkout.CHART.name)
        shutil.copytree(ROOT / checkout.CHART, chart)
        values = chart / "values.yaml"
        values.write_text(with_image(values.read_text(), image))
        command = [str(HELM), "package", str(chart), "--destination", str(destination)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackageError(done.stderr.strip())
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(prog="make package")
    parser.add_argument("image", metavar="IMAGE", help="without a tag, such as ghcr.io/me/name")
    try:
        sys.stdout.write(package(parser.parse_args().image, ROOT / "dist"))
    except PackageError as error:
        sys.exit(f"package: {error}")


if __name__ == "__main__":
    main()
