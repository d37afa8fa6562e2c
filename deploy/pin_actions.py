"""Writes commits in place of the tags of actions, with the tag behind each: `pin_actions.py WORKFLOW…`.

Asks the API of GitHub ($GITHUB_API_URL), with $GITHUB_TOKEN if it is set: callers without one have sixty
requests an hour. Where one action cannot be read, or a tag no longer names the commit that was written for
it, says why, changes nothing and exits with 1.
"""

import os
import re
import sys
from functools import cache
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from deploy.pin import PinError, get

API = "https://api.github.com"
# `uses: OWNER/REPOSITORY[/PATH]@TAG`, or `…@COMMIT # TAG`. A path of this repository begins with a dot.
USES = re.compile(r"^(\s*(?:- )?uses: *)([\w-]+/[\w.-]+)((?:/[\w./-]+)?)@(\S+)(?: +# (\S+))?$", re.MULTILINE)
COMMIT = re.compile(r"[0-9a-f]{40}")
WRONG = {
    401: "GITHUB_TOKEN is not valid",
    403: "GitHub refuses: set GITHUB_TOKEN, or wait an hour",
    404: "no such tag",
    422: "no such tag",
    429: "GitHub refuses: set GITHUB_TOKEN, or wait an hour",
}


@cache
def commit_of(repository: str, tag: str) -> str:
    """The commit that the tag names, also if the tag is an object of its own. Raises PinError."""
    url = f"{os.environ.get('GITHUB_API_URL') or API}/repos/{repository}/commits/tags/{tag}"
    headers = {"Accept": "application/vnd.github.sha"}
    if token := os.environ.get("GITHUB_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    try:
        answer = get(url, **headers)[0].decode("ascii", "replace").strip()
    except HTTPError as error:
        raise PinError(f"{WRONG.get(error.code, 'GitHub failed')} (HTTP {error.code})") from None
    except (OSError, HTTPException, ValueError) as error:
        raise PinError(f"GitHub cannot be read: {getattr(error, 'reason', error)}") from None
    if not COMMIT.fullmatch(answer):
        raise PinError(f"GitHub answered with {answer[:60]!r}: expected a commit of 40 digits")
    return answer


def pinned(text: str) -> str:
    """The text of a workflow with commits in place of tags. Raises PinError."""

    def written(line: re.Match[str]) -> str:
        uses, repository, path, reference, comment = line.groups()
        tag = comment or reference
        action = f"{repository}{path}@{tag}"
        if COMMIT.fullmatch(tag):
            raise PinError(f"{action}: has no tag: write it behind the commit, such as # v4.2.2")
        try:
            commit = commit_of(repository, tag)
        except PinError as error:
            raise PinError(f"{action}: {error}") from None
        if COMMIT.fullmatch(reference) and reference != commit:
            moved = f"the tag was moved from {reference} to {commit}"
            raise PinError(f"{action}: {moved}; find out why, then write the one to use")
        return f"{uses}{repository}{path}@{commit} # {tag}"

    return USES.sub(written, text)


def main(files: list[Path]) -> None:
    try:
        texts = {file: pinned(file.read_text()) for file in files}
    except PinError as error:
        sys.exit(f"pin: {error}\npin: nothing is changed")
    for file, text in texts.items():
        file.write_text(text)
        found = {f"{line[2]}{line[3]}@{line[4]} # {line[5]}" for line in USES.finditer(text)}
        sys.stdout.write("".join(f"{file}: {action}\n" for action in sorted(found)))


if __name__ == "__main__":
    main([Path(file) for file in sys.argv[1:]])
