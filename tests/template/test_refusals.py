"""What is refused: names that cannot be told apart, and tags that copier would take for versions."""

from pathlib import Path

import pytest

from deploy import checkout
from deploy.template import gone, tags
from deploy.template.names import Names
from deploy.template.text import TemplateError, Text
from tests.support.checkout import Checkout
from tests.support.servers.process import ROOT

pytestmark = pytest.mark.timeout(300)
NAMES = Names("shop", "goods")


@pytest.fixture
def copy(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def refusal(copy: Checkout) -> str:
    """Why no template of the copy is derived; nothing is written then."""
    out = copy.root.parent / "out"
    finished = copy.attempt(".venv/bin/python", "-m", "deploy.template", str(out), seconds=250)
    assert finished.returncode == 1, finished.stdout + finished.stderr
    assert not out.exists()
    assert finished.stderr.endswith("template: nothing is committed\n")
    return finished.stderr


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("shop, shop-token and svc/shop", "[= cookiecutter.project =], [= cookiecutter.project =]-token and"),
        (
            "SHOP_TARGET=a _SHOP_COMPLETE=b",
            "[= cookiecutter.__env =]_TARGET=a _[= cookiecutter.__env =]_COMPLETE",
        ),
        ("a shopping list, workshop, SHOP and shop_x", "a shopping list, workshop, SHOP and shop_x"),
    ],
)
def test_the_name_is_replaced_where_it_is_a_word_of_its_own(text: str, replaced: str) -> None:
    assert NAMES.replaced(text).startswith(replaced)


@pytest.mark.parametrize("text", ["shop_x", "Shop", "SHOP", "workshop", "goods", "Goods", "all-goods"])
def test_other_forms_of_the_names_are_left_and_found(text: str) -> None:
    [left] = Text(f"a line\n{NAMES.replaced(text)}\n").left(NAMES)
    assert left.startswith("2: ")


def test_lines_of_an_example_may_have_its_names() -> None:
    text = Text("a line\nthe Shop of goods\n")
    text.belongs(1, 2, "__goods")
    assert text.left(NAMES) == []
    assert text.rendered() == "a line\n[% if cookiecutter.__goods %]the Shop of goods\n[% endif %]"


def test_a_block_without_an_end_is_an_error() -> None:
    for lines in ("# template only\na\n", "a\n# /template only\n", "# template only\n# template only\n"):
        with pytest.raises(TemplateError, match="Makefile:"):
            Text(lines).mark_own("__own", Path("Makefile"))


def test_moved_and_deleted_files_are_listed_by_versions_newest_first() -> None:
    folder = "[= cookiecutter.project =]"
    hook = "[% if cookiecutter.__hook %].left-out-a[% endif %]"
    condition = f"[% if cookiecutter.service %]a[% else %]{hook}[% endif %]"
    changes = (
        f"R090\t{folder}/{condition}/[= cookiecutter.__folder =].py\t{folder}/b.py\nD\t{folder}/c.py\n"
        f"M\t{folder}/d.py\nD\thooks/e.py\n"
    )
    first = gone.listed("", "1.0.0", "")
    assert gone.listed(first, "1.1.0", changes) == (
        "1.1.0:\n  moved a/[= cookiecutter.__folder =].py to b.py\n  deleted c.py\n1.0.0:\n  none\n"
    )
    with pytest.raises(TemplateError, match=r"has version 1\.0\.0 already"):
        gone.listed(first, "1.0.0", "")


def test_a_name_that_cannot_be_told_apart_is_named_with_its_line(copy: Checkout) -> None:
    project = checkout.project()
    copy.write("docs/other.md", f"# Other\n\nThe file my_{project}.\n")
    copy.write("docs/mark.md", "# Mark\n\nA [" + "= mark.\n")
    copy.commit()
    printed = refusal(copy)
    assert f"docs/other.md:3: '{project}' in The file my_{project}.\n" in printed
    assert "docs/mark.md: has one of " in printed


def test_a_version_as_the_tag_of_a_commit_without_a_template_is_refused(copy: Checkout) -> None:
    copy.run("git", "tag", f"{checkout.project()}-9.0.0")
    copy.run("git", "tag", "latest")
    assert tags.wrong(copy.root) == []
    copy.run("git", "tag", "v9.0.0")
    assert tags.wrong(copy.root) == ["v9.0.0"]
    assert "copier would take v9.0.0 for a version of the template: delete the tag" in refusal(copy)


def test_this_repository_has_no_such_tag() -> None:
    assert tags.wrong(ROOT) == []
