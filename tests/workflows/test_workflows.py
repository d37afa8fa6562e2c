"""The workflows of GitHub and GitLab run what CI runs, and name nothing that does not exist."""

import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import yaml

from tests.support.project import PROJECT, ROOT, VERSIONS

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()
IMAGE = (ROOT / "Dockerfile").read_text().partition("ARG PYTHON_IMAGE=docker.io/library/python:")[2]
MAKE = re.compile(r"\bmake ([^|;&)]*)")
# What .ci/run does and the workflows do not, each with the reason.
LEFT_OUT = {"bash .ci/packages": "runners have them, or a job installs what it lacks"}
LEFT_OUT |= {'bash .ci/pythons "$image"': "the jobs `test` run on every supported version"}
LEFT_OUT |= {'bash .ci/pythons "$newest"': "the same"}
LEFT_OUT |= {'bash "$check"': "slow; a release runs them (`make release-check`)"}


def loaded(name: str) -> Any:
    return yaml.load((ROOT / name).read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - strings alone; `on` is none


def combinations(matrix: dict[str, list[str]]) -> Iterator[dict[str, str]]:
    for values in product(*matrix.values()):
        yield dict(zip(matrix, values, strict=True))


def filled(line: str, variables: dict[str, str]) -> str:
    """The line with the values of variables, each written as "$NAME"."""
    for name, value in variables.items():
        line = line.replace(f'"${name}"', value)
    return line


def of_github(name: str) -> list[str]:
    """The lines that the jobs of a workflow run, once for each combination of a matrix."""
    found = []
    for job in loaded(name)["jobs"].values():
        for one in combinations(job.get("strategy", {}).get("matrix", {})):
            matrix = {f"${{{{ matrix.{key} }}}}": value for key, value in one.items()}
            for step in job.get("steps", ()):
                variables = {key: matrix.get(value, value) for key, value in step.get("env", {}).items()}
                found += [filled(line, variables) for line in step.get("run", "").splitlines()]
    return found


def of_gitlab() -> list[str]:
    """The lines that GitLab's jobs run, once for each combination of a matrix."""
    found = []
    for job in loaded(".gitlab-ci.yml").values():
        if isinstance(job, dict) and "script" in job:
            for matrix in job.get("parallel", {}).get("matrix", [{}]):
                for one in combinations(matrix):
                    found += [filled(line, one) for line in job["script"]]
    return found


CHECKS = {"GitHub": of_github(".github/workflows/ci.yml"), "GitLab": of_gitlab()}
EVERYTHING = [
    *CHECKS["GitLab"],
    *(line for path in WORKFLOWS for line in of_github(str(path.relative_to(ROOT)))),
]


def targets(lines: list[str]) -> set[str]:
    """The targets of make that the lines name."""
    words = {word for line in lines for arguments in MAKE.findall(line) for word in arguments.split()}
    return {word for word in words if re.fullmatch(r"[\w.][\w./-]*", word)}


def ci_run() -> list[str]:
    """The commands of .ci/run: of make, bash, uv and git."""
    lines = (line.strip() for line in (ROOT / ".ci" / "run").read_text().splitlines())
    return [line for line in lines if re.match(r"(make|bash|git|\.uv/bin/uv) ", line)]


def test_the_commands_of_ci_are_found() -> None:
    assert {"make setup", "make lint", ".uv/bin/uv lock --check"} <= set(ci_run())
    assert len(ci_run()) > 10


@pytest.mark.parametrize("where", CHECKS)
def test_every_check_of_ci_is_run_or_left_out_with_a_reason(where: str) -> None:
    run = [line.split(" PYTEST=")[0] for line in CHECKS[where]]
    for command in ci_run():
        if command in LEFT_OUT:
            continue
        if named := targets([command]):
            assert named <= targets(run), command
        else:
            assert command in run


def test_what_is_left_out_is_a_check_of_ci() -> None:
    assert set(LEFT_OUT) <= set(ci_run())


def test_every_target_of_make_that_a_workflow_names_exists() -> None:
    assert {"lint", "e2e", "publish", "tag", ".venv/.helm"} <= targets(EVERYTHING)
    for target in targets(EVERYTHING):
        assert re.search(rf"^{re.escape(target)}:", MAKEFILE, flags=re.MULTILINE), target


def test_the_tests_run_on_every_supported_version_of_python() -> None:
    assert loaded(".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"] == VERSIONS
    assert loaded(".gitlab-ci.yml")["test"]["parallel"]["matrix"] == [{"PYTHON_VERSION": VERSIONS}]


def test_everything_else_runs_on_the_version_of_the_image() -> None:
    [version] = re.findall(r"^3\.\d+", IMAGE)
    for path in WORKFLOWS:
        used = re.findall(r'python-version: "(.*)"', path.read_text())
        assert set(used) <= {version}
    assert loaded(".gitlab-ci.yml")["variables"]["PYTHON_VERSION"] == version
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert re.findall(r"python:(3\.\d+)-", container["image"]) == [version]


def test_every_action_image_and_feature_has_an_exact_version() -> None:
    for path in WORKFLOWS:
        for uses in re.findall(r"uses: (\S+)(?: # (\S+))?$", path.read_text(), flags=re.MULTILINE):
            reference, tag = uses[0].rpartition("@")[2], uses[1]
            if not uses[0].startswith("./"):
                assert re.fullmatch(r"v\d+\.\d+\.\d+", tag or reference), uses
                assert not tag or re.fullmatch(r"[0-9a-f]{40}", reference), uses
    for file in (*WORKFLOWS, ROOT / ".gitlab-ci.yml"):
        for tag in re.findall(r"(?:moby|docker\.io)/[\w/-]+:(\S+)", file.read_text()):
            assert re.search(r"\d+\.\d+\.\d+", tag.replace("${PYTHON_VERSION}", "3.14.0")), tag
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert all(re.search(r":\d+\.\d+\.\d+$", feature) for feature in container["features"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_jobs_have_a_timeout_and_no_more_permissions_than_they_name(path: Any) -> None:
    workflow = loaded(str(path.relative_to(ROOT)))
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["permissions"]["contents"] == "read", name
        assert "uses" in job or int(job["timeout-minutes"]) <= 60, name
        written = {scope for scope, access in job["permissions"].items() if access == "write"}
        assert not written or path.name == "release.yml"


def test_the_release_starts_for_the_tags_that_make_release_prints() -> None:
    tag = f"{PROJECT['name']}-{PROJECT['version']}"
    [pattern] = loaded(".github/workflows/release.yml")["on"]["push"]["tags"]
    assert re.fullmatch(pattern.replace(".", r"\."), tag)
    rules = [rule["if"] for rule in loaded(".gitlab-ci.yml")["workflow"]["rules"]]
    [expression] = [rule.split(" =~ ")[1] for rule in rules if rule.startswith("$CI_COMMIT_TAG")]
    assert re.fullmatch(expression.strip("/"), tag)
    for one in (pattern.replace(".", r"\."), expression.strip("/")):
        assert not re.fullmatch(one, f"{tag}-rc1")
        assert not re.fullmatch(one, PROJECT["version"])


def test_the_dev_container_sets_up_the_checkout_with_the_properties_that_containers_have() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert "make setup" in container["postCreateCommand"]
    known = {"image", "features", "forwardPorts", "portsAttributes", "postCreateCommand", "customizations"}
    assert set(container) <= known  # https://containers.dev/implementors/json_reference
