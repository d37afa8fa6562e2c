"""`make template OUT=DIR`."""

import argparse
import sys
from pathlib import Path

from deploy import checkout
from deploy.template.repository import write
from deploy.template.text import TemplateError


def main() -> None:
    parser = argparse.ArgumentParser(prog="make template")
    parser.add_argument("out", metavar="OUT", help="the folder of the template's git repository")
    given = parser.parse_args()
    if not given.out:
        sys.exit("template: OUT is required, such as OUT=../template")
    out = Path(given.out).resolve()
    try:
        changed = write(out)
    except TemplateError as error:
        sys.exit(f"template: {error}\ntemplate: nothing is committed")
    if checkout.dirty([Path()]):
        print(
            "template: it is of the last commit; changes that are not committed are not in it",
            file=sys.stderr,
        )
    print(
        f"{'committed and tagged' if changed else 'nothing has changed since'} {checkout.version()} in {out}"
    )


if __name__ == "__main__":
    main()
