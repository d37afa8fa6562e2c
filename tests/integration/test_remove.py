"""`make remove` takes a service out of a checkout, whole.

tests/integration/test_add_a_service.py removes all examples.
"""

from pathlib import Path

import pytest

from app.core.name import NAME
from deploy import checkout
from tests.support.checkout import Checkout

FOLDERS = checkout.folders()

PROTO = """syntax = "proto3";

package acme.users.v1;

import "{needed}";
"""

pytestmark = [pytest.mark.copy, pytest.mark.timeout(300)]  # `make gen` takes a while on a busy machine


@pytest.fixture
def copy(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_an_unknown_service_is_refused_with_the_names_of_those_that_are_there(copy: Checkout) -> None:
    done = copy.attempt("make", "remove", "SERVICE=nowhere")
    assert done.returncode != 0
    there = ", ".join(FOLDERS) or "none"
    assert f"remove: no service 'nowhere' in app/services/; there are: {there}\n" in done.stderr
    assert copy.run("git", "status", "--porcelain") == ""


def test_the_name_of_a_service_is_required(copy: Checkout) -> None:
    done = copy.attempt("make", "remove")
    assert done.returncode != 0
    assert "remove: SERVICE is required, such as SERVICE=inventory; there are: " in done.stderr
    assert copy.run("git", "status", "--porcelain") == ""


def test_changes_that_are_not_committed_are_not_lost_unless_forced(copy: Checkout) -> None:
    copy.run("make", "service", "NAME=Zebra", "PACKAGE=acme.zebra.v1")
    before = copy.run("git", "status", "--porcelain")
    done = copy.attempt("make", "remove", "SERVICE=zebra")
    assert done.returncode != 0
    assert "remove: these have changes that are not committed: app/services/__init__.py, " in done.stderr
    assert ", app/services/zebra/" in done.stderr
    assert "; commit them, or pass FORCE=1\nremove: nothing is changed\n" in done.stderr
    assert copy.run("git", "status", "--porcelain") == before
    lines = copy.run("make", "remove", "SERVICE=zebra", "FORCE=1").splitlines()
    named = [line for line in lines if line.startswith("still named in")]
    assert [line for line in named if Path(__file__).name not in line] == []
    assert copy.run("git", "status", "--porcelain") == ""
    assert not list(copy.root.rglob("acme"))


def test_a_service_whose_proto_another_one_imports_is_refused(copy: Checkout) -> None:
    copy.run("make", "service", "NAME=Zebra", "PACKAGE=acme.zebra.v1")
    user, needed = "acme/users/v1/users.proto", "acme/zebra/v1/zebra.proto"
    copy.write(f"protos/{user}", PROTO.format(needed=needed))
    copy.run("make", "gen")
    copy.commit()
    done = copy.attempt("make", "remove", "SERVICE=zebra")
    assert done.returncode != 0
    assert f"remove: protos/{user} imports protos/{needed}: remove that import first\n" in done.stderr
    assert copy.run("git", "status", "--porcelain") == ""


def test_marked_blocks_and_lines_in_lists_go_and_all_else_stays(copy: Checkout) -> None:
    marked = "one\n{open} service: sample{close}\ntwo\n\nthree\n{open} /service{close}\nfour\n"
    copy.write("PAGE.md", marked.format(open="<!--", close=" -->"))
    copy.write("list.yaml", marked.format(open="  #", close=""))
    copy.write("app/services/sample/__init__.py", "")
    copy.write(
        f"helm/{NAME}/values.yaml",
        "# First.\nfirst: 1\n\n# Sample's.\n# More.\nsample:\n  a: 1\n\n  b: 2\n\n# Last.\nlast: {}\n",
    )
    program = """
from pathlib import Path
from deploy import remove
for path, (text, what) in sorted(remove.planned("sample").edited.items()):
    print(path, what, repr(text))
"""
    printed = copy.python("-c", program).splitlines()
    for name in ("PAGE.md", "list.yaml"):
        assert f"{name} ['1 marked block'] 'one\\nfour\\n'" in printed
    values = "# First.\\nfirst: 1\\n\\n# Last.\\nlast: {}\\n"
    assert f"helm/{NAME}/values.yaml ['the key sample'] '{values}'" in printed
