"""The template of the commit that is checked out."""

from pathlib import Path

import pytest

from deploy.template.repository import write


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of the template, with one version."""
    out = tmp_path_factory.mktemp("template") / "template"
    assert write(out)
    return out
