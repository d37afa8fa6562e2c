"""Writes behind each image that a Dockerfile names the digest of what its tag names now: `pin.py DOCKERFILE`.

An image is the default of a build argument whose name ends in IMAGE. A digest is written only after its
manifest was read from the image's own registry, and hashes to it. Where that fails for one image, says why,
changes nothing and exits with 1.
"""

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

SECONDS = 20
MAX_BYTES = 4 << 20  # the OCI distribution specification's own limit for a manifest
MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ARGUMENT = re.compile(r"^(ARG \w*IMAGE=)(\S+)$", re.MULTILINE)
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class PinError(Exception):
    """Why an image's digest cannot be had."""


@dataclass(frozen=True)
class Image:
    """`REGISTRY/REPOSITORY:TAG`, with docker.io's short forms read as Docker does."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, reference: str) -> "Image":
        name = reference.partition("@")[0]
        first, slash, rest = name.partition("/")
        if not slash or not ("." in first or ":" in first or first == "localhost"):
            first, rest = "docker.io", name
        repository, colon, tag = rest.partition(":")
        if not colon:
            raise PinError("has no tag: write the one whose digest is wanted, such as :3.14-slim-trixie")
        return cls(
            first, repository if "/" in repository or first != "docker.io" else f"library/{repository}", tag
        )

    @property
    def url(self) -> str:
        """Where its manifest is. A registry on loopback is spoken to without TLS, as Docker does."""
        host = "registry-1.docker.io" if self.registry == "docker.io" else self.registry
        plain = host.partition(":")[0] in ("localhost", "127.0.0.1")
        return f"{'http' if plain else 'https'}://{host}/v2/{self.repository}/manifests/{self.tag}"


def get(url: str, **headers: str) -> tuple[bytes, HTTPMessage]:
    with urlopen(Request(url, headers=headers), timeout=SECONDS) as answer:  # noqa: S310 - made above, or a registry's
        body: bytes = answer.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise PinError(f"the registry answered with more than {MAX_BYTES} bytes")
        return body, answer.headers


def anonymous_token(challenge: str) -> str:
    """Asks for what a registry wants of callers without an account, as its challenge says.

    https://distribution.github.io/distribution/spec/auth/token/
    """
    asked = dict(CHALLENGE.findall(challenge))
    realm = asked.pop("realm", "")
    if not challenge.startswith("Bearer ") or not realm.startswith(
        ("https://", "http://127.0.0.1:", "http://localhost:")
    ):
        raise PinError(
            "the registry wants credentials: have it pulled by somebody who has them, and write its digest"
        )
    answer = json.loads(get(f"{realm}?{urlencode(asked)}")[0])
    return str(answer.get("token") or answer.get("access_token"))


def manifest(image: Image) -> tuple[bytes, HTTPMessage]:
    accept = ", ".join(MANIFESTS)
    try:
        return get(image.url, Accept=accept)
    except HTTPError as error:
        if error.code != HTTPStatus.UNAUTHORIZED:
            raise
        token = anonymous_token(error.headers.get("WWW-Authenticate", ""))
    return get(image.url, Accept=accept, Authorization=f"Bearer {token}")


def digest(image: Image) -> str:
    """The digest of what the tag names: of its list of platforms, where it has one. Raises `PinError`."""
    try:
        body, headers = manifest(image)
    except HTTPError as error:
        known = {
            401: "wants credentials",
            403: "wants credentials",
            404: "has no such image",
            429: "has had too many calls",
        }
        raise PinError(f"the registry {known.get(error.code, 'failed')} (HTTP {error.code})") from None
    except (OSError, HTTPException, ValueError) as error:
        raise PinError(f"its registry cannot be read: {getattr(error, 'reason', error)}") from None
    if headers.get_content_type() not in MANIFESTS:
        raise PinError(
            f"the registry answered with {headers.get_content_type()}, which is no image's manifest"
        )
    found = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if headers.get("Docker-Content-Digest", found) != found:
        raise PinError(f"the registry says {headers['Docker-Content-Digest']}, and its manifest has {found}")
    return found


def pin(dockerfile: Path) -> list[str]:
    """Returns the images with their digests. Raises `PinError`, and has changed nothing then."""
    text = dockerfile.read_text()
    pinned: dict[str, str] = {}
    for _, reference in ARGUMENT.findall(text):
        try:
            pinned[reference] = f"{reference.partition('@')[0]}@{digest(Image.parse(reference))}"
        except PinError as error:
            raise PinError(f"{reference}: {error}") from None
    if not pinned:
        raise PinError(
            f"{dockerfile} has no line such as ARG PYTHON_IMAGE=docker.io/library/python:3.14-slim-trixie"
        )
    dockerfile.write_text(ARGUMENT.sub(lambda line: line[1] + pinned[line[2]], text))
    return list(pinned.values())


def main(dockerfile: Path) -> None:
    try:
        pinned = pin(dockerfile)
    except PinError as error:
        sys.exit(f"pin: {error}\npin: nothing is changed")
    sys.stdout.write("".join(f"{dockerfile}: {image}\n" for image in pinned))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
