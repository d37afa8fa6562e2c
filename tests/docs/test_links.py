"""Links of the documentation lead somewhere."""

from urllib.parse import urlsplit

import pytest

from tests.docs.pages import PAGES, Page
from tests.support.servers.process import ROOT


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file_and_an_anchor_that_exist(page: Page) -> None:
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme:
            continue
        file = (page.path.parent / parts.path).resolve() if parts.path else page.path
        assert file.exists(), f"{page.name}: {link}"
        assert file.is_relative_to(ROOT), f"{page.name}: {link} leads out of the repository"
        if parts.fragment:
            target = Page(file.relative_to(ROOT).as_posix())
            assert parts.fragment in target.anchors, f"{page.name}: {link}, of {sorted(target.anchors)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_absolute_link_is_an_https_address_with_a_host(page: Page) -> None:
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https", f"{page.name}: {link}"
            assert "." in parts.netloc, f"{page.name}: {link}"
