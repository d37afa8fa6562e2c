"""The git repository of the template: a commit and a tag for each version."""

import shutil
import subprocess
from pathlib import Path

from deploy import checkout
from deploy.template import answers, configuration, gone, tags
from deploy.template.jinja import FOLDER
from deploy.template.questions import Question, questions
from deploy.template.text import TemplateError
from deploy.template.tree import File, derived

BRANCH = "template"


def write(out: Path) -> bool:
    """Derives the template of the commit that is checked out, and commits and tags it with the version.

    `out` is the repository of the template; it is made if it does not exist. Returns whether anything has
    changed since the version was tagged. Raises TemplateError, and has committed nothing then.
    """
    if out.exists() and any(out.iterdir()) and not (out / ".git").exists():
        raise TemplateError(f"{out} has files and is not a git repository")
    if found := tags.wrong(checkout.ROOT):
        raise TemplateError(
            f"copier would take {', '.join(found)} for a version of the template: delete the tag, and use"
            f" {checkout.project()}-{checkout.version()} for a release"
        )
    version, files = checkout.version(), derived()
    answers_file = configuration.answers_file(asked(), version).encode()
    files[configuration.ANSWERS_PATH] = File(answers_file, executable=False)
    out.mkdir(parents=True, exist_ok=True)
    if not (out / ".git").exists():
        _git(out, "init", "--quiet", f"--initial-branch={BRANCH}")
    if _git(out, "status", "--porcelain"):
        raise TemplateError(f"{out} has changes that are not committed")
    try:
        return _commit(out, version, {f"{FOLDER}/{name}": file for name, file in files.items()})
    except TemplateError:
        _undo(out)
        raise


def _commit(out: Path, version: str, files: dict[str, File]) -> bool:
    before = (out / gone.LIST).read_text() if (out / gone.LIST).exists() else ""
    released = bool(_git(out, "tag", "--list", version))
    _replace(out, files)
    changes = _git(out, "diff", "--cached", "--name-status", "--find-renames", "HEAD") if before else ""
    gone_files = before if released else gone.listed(before, version, changes)
    texts = configuration.files(asked(), checkout.project(), checkout.folders(), gone_files)
    texts[gone.LIST.name] = gone_files
    _write(out, {name: File(text.encode(), executable=False) for name, text in texts.items()})
    _git(out, "add", "--all", "--force")
    if not _git(out, "status", "--porcelain"):
        return False
    if released:
        raise TemplateError(f"version {version} is tagged in {out} with other files; make a release first")
    _git(out, "commit", "--quiet", "--message", f"Derive version {version}")
    _git(out, "tag", "--annotate", "--message", version, version)
    return True


def _undo(out: Path) -> None:
    _git(out, "rm", "-r", "--quiet", "--cached", "--ignore-unmatch", ".")
    if _git(out, "rev-list", "--all", "--max-count=1"):
        _git(out, "reset", "--quiet", "--hard")
    _git(out, "clean", "--quiet", "-d", "--force", "-x")


def _replace(out: Path, files: dict[str, File]) -> None:
    for path in out.iterdir():
        if path.name not in (".git", gone.LIST.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    _write(out, files)
    _git(out, "add", "--all", "--force")


def _write(out: Path, files: dict[str, File]) -> None:
    for name, file in files.items():
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(0o755 if file.executable else 0o644)


def asked() -> list[Question]:
    """The questions of the template."""
    return questions(checkout.project(), answers.description(), checkout.folders(), packages())


def packages() -> set[str]:
    """The names of all that the project depends on."""
    lock = (checkout.ROOT / "uv.lock").read_text()
    found = {line.split('"')[1] for line in lock.splitlines() if line.startswith('name = "')}
    return found - {checkout.project()}


def _git(out: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=out, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TemplateError(f"git {arguments[0]} failed in {out}: {done.stderr.strip()}")
    return done.stdout
