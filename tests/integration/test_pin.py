"""`make pin` writes digests that it read from a registry, and no others."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from deploy.pin import Image
from tests.support.servers.process import ROOT, environment
from tests.support.servers.web import send, web

INDEX = "application/vnd.oci.image.index.v1+json"
TOKEN = "a-token-for-anybody"  # noqa: S105 - of a registry that is ours


@dataclass
class Registry:
    """A registry as Docker Hub is one: what it has is public, for a token that anybody gets."""

    host: str = ""
    manifests: dict[str, bytes] = field(default_factory=dict)
    content_type: str = INDEX
    said: str | None = None  # a digest that is not the manifest's
    anonymous: bool = True

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        url = urlsplit(request.path)
        if url.path == "/token":
            assert parse_qs(url.query) == {
                "service": ["registry"],
                "scope": ["repository:library/python:pull"],
            }
            send(request, json.dumps({"token": TOKEN}).encode())
        elif request.headers.get("Authorization") != f"Bearer {TOKEN}":
            challenge = (
                f'Bearer realm="http://{self.host}/token",service="registry",'
                'scope="repository:library/python:pull"'
                if self.anonymous
                else 'Basic realm="registry"'
            )
            send(request, b"{}", 401, **{"WWW-Authenticate": challenge})
        elif INDEX not in request.headers.get("Accept", "") or url.path not in self.manifests:
            send(request, b"{}", 404)
        else:
            body = self.manifests[url.path]
            said = {"Content-Type": self.content_type, "Docker-Content-Digest": self.said or sha256(body)}
            send(request, body, 200, **said)


def sha256(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@pytest.fixture
def registry() -> Iterator[Registry]:
    with web() as server:
        found = Registry(host=urlsplit(server.url).netloc)
        server.answer = found.answer
        yield found


def dockerfile_of(path: Path, *images: str) -> Path:
    file = path / "Dockerfile"
    lines = [f"ARG PART_{number}_IMAGE={image}\n" for number, image in enumerate(images)]
    file.write_text("# Bases.\n" + "".join(lines) + "ARG UV_VERSION=0.13.8\nFROM ${PART_0_IMAGE}\n")
    return file


def pinned(dockerfile: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, ROOT / "deploy" / "pin.py", dockerfile],
        env=environment(no_proxy="localhost,127.0.0.1"),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_digest_of_what_the_tag_names_is_written_behind_it(registry: Registry, tmp_path: Path) -> None:
    image = f"{registry.host}/library/python:3.14-slim-trixie"
    path = "/v2/library/python/manifests/3.14-slim-trixie"
    dockerfile = dockerfile_of(tmp_path, image)
    before = dockerfile.read_text()
    for body in (b'{"manifests": []}', b'{"manifests": ["another, a month later"]}'):
        registry.manifests[path] = body
        done = pinned(dockerfile)
        assert done.returncode == 0, done.stderr
        assert dockerfile.read_text() == before.replace(image, f"{image}@{sha256(body)}")
        assert f"{image}@{sha256(body)}" in done.stdout


@pytest.mark.parametrize("wrong", ["missing", "digest", "type", "credentials", "no tag"])
def test_nothing_is_written_where_one_image_cannot_be_read(
    registry: Registry, tmp_path: Path, wrong: str
) -> None:
    image = f"{registry.host}/library/python:3.14-slim-trixie"
    other = f"{registry.host}/library/python:missing" if wrong == "missing" else image
    if wrong == "no tag":
        other = f"{registry.host}/library/python"
    dockerfile = dockerfile_of(tmp_path, image, other)
    before = dockerfile.read_text()
    registry.manifests["/v2/library/python/manifests/3.14-slim-trixie"] = b"{}"
    if wrong == "digest":
        registry.said = sha256(b"another")
    if wrong == "type":
        registry.content_type = "text/html"
    registry.anonymous = wrong != "credentials"
    done = pinned(dockerfile)
    assert done.returncode == 1
    said = {
        "missing": f"pin: {other}: the registry has no such image (HTTP 404)",
        "digest": f"pin: {image}: the registry says {registry.said}, and its manifest has {sha256(b'{}')}",
        "type": f"pin: {image}: the registry answered with text/html, which is no image's manifest",
        "credentials": f"pin: {image}: the registry wants credentials",
        "no tag": f"pin: {other}: has no tag",
    }
    assert done.stderr.startswith(said[wrong])
    assert done.stderr.endswith("\npin: nothing is changed\n")
    assert dockerfile.read_text() == before


def test_an_unreachable_registry_is_an_error_in_one_line(tmp_path: Path) -> None:
    with web() as server:
        image = f"{urlsplit(server.url).netloc}/library/python:3.14-slim-trixie"
    dockerfile = dockerfile_of(tmp_path, image)  # whose registry has gone
    before = dockerfile.read_text()
    done = pinned(dockerfile)
    assert (done.returncode, dockerfile.read_text()) == (1, before)
    said = "its registry cannot be read: [Errno 111] Connection refused"
    assert done.stderr == f"pin: {image}: {said}\npin: nothing is changed\n"


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("python:3.14", "https://registry-1.docker.io/v2/library/python/manifests/3.14"),
        ("docker.io/grafana/k6:1@sha256:0", "https://registry-1.docker.io/v2/grafana/k6/manifests/1"),
        ("ghcr.io/astral-sh/uv:0.13.8", "https://ghcr.io/v2/astral-sh/uv/manifests/0.13.8"),
        ("registry:5000/python:3.14", "https://registry:5000/v2/python/manifests/3.14"),
    ],
)
def test_an_images_short_forms_are_read_as_docker_reads_them(reference: str, url: str) -> None:
    assert Image.parse(reference).url == url


def test_the_projects_own_dockerfile_has_an_image_to_pin() -> None:
    recipe = subprocess.run(
        ["make", "-n", "pin"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "deploy/pin.py Dockerfile\n" in recipe
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert [line.partition("=")[0] for line in lines if "IMAGE=" in line] == ["ARG PYTHON_IMAGE"]
