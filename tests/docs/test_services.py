"""Every service of the program has a page, which names its methods."""

from tests.docs.pages import Page
from tests.support.servers.process import ROOT
from tests.support.servers.program import SHIPPED

LIST = Page("docs/services/README.md")
FOLDERS = sorted(path.parent.name for path in (ROOT / "app" / "services").glob("*/__init__.py"))


def test_every_folder_of_a_service_has_a_page_in_the_list() -> None:
    assert sorted(link for link in LIST.links if "/" not in link) == [f"{folder}.md" for folder in FOLDERS]


def test_every_service_and_method_is_on_a_page() -> None:
    pages = [Page(f"docs/services/{folder}.md") for folder in FOLDERS]
    for service in SHIPPED:
        [page] = [page for page in pages if page.text.startswith(f"# {service.name}\n")]
        for method in service.descriptor.methods:
            assert f"`{method.name}`" in page.text, f"{page.name}: {method.full_name}"


def test_the_names_of_the_health_service_are_on_the_page_about_telemetry() -> None:
    shown = Page("docs/telemetry.md").section("## Health and reflection")
    assert "`grpc.health.v1.Health`" in shown
    assert "`liveness`" in shown
