from collections.abc import Iterator

import pytest

from tests.docs.sample import Sample, generated
from tests.support.servers.process import environment


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    """The service of the documentation's samples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", environment()["PATH"])  # protoc looks for its plugins there
        with generated(tmp_path_factory.mktemp("generated")) as made:
            yield made
