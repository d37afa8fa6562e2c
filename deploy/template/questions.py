"""The questions that a fork answers, and which answers are valid, for both copier and cookiecutter."""

import keyword
import re
from dataclasses import dataclass

from deploy.service import PROTO_WORDS

# Prefixes of variables that others read, words that YAML takes for booleans, and this project's own folders.
_TAKEN = {"app", "otel", "grpc", "kubernetes", "tests"}
# Programs beside which its command is installed, but for those that have the name of their package.
_PROGRAMS = {"python", "python3", "pip", "uv", "helm", "buf", "protoc-gen-mypy", "python-grpc-tools-protoc"}
_PROGRAMS |= {
    "dmypy",
    "mypyc",
    "stubgen",
    "stubtest",
    "cffi-gen-src",
    "normalizer",
    "markdown-it",
    "pygmentize",
}
_PROGRAMS |= {
    "go",
    "gofmt",
    "ghz",
    "kube-score",
    "custom-resources",
    "kind",
    "actionlint",
    "prometheus",
    "promtool",
}
_PROGRAMS |= {"elasticapm-run", "opentelemetry-bootstrap", "opentelemetry-instrument", "slugify"}
_YAML_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
_KEYWORDS = {*keyword.kwlist, *keyword.softkwlist} - {"_"} | PROTO_WORDS
_PACKAGES_OF_OTHERS = {"google", "grpc", "probe"}


@dataclass(frozen=True)
class Question:
    """`default` may have expressions, in which `@project` is the answer to the question `project`.

    `pattern` matches valid answers, but for those in `words`: for those of which a part is in them, where
    `part` is given, which separates the parts.
    """

    key: str
    help: str
    default: str
    pattern: str
    expected: str
    words: tuple[str, ...] = ()
    part: str | None = None
    refused: str = ""

    def error(self, answer: str) -> str | None:
        """What is wrong with an answer, or None."""
        if not re.fullmatch(self.pattern, answer):
            return f"invalid {self.key} {answer!r}: expected {self.expected}"
        for word in answer.split(self.part) if self.part else [answer]:
            if word in self.words:
                return f"invalid {self.key} {answer!r}: {word!r} {self.refused}"
        return None


def questions(project: str, description: str, examples: list[str], packages: set[str]) -> list[Question]:
    """`project`, `description` and `examples` are this repository's, which a fork of the same name is.

    `packages` has the names of all that the project depends on.
    """
    own = f"@project == '{project}'"
    words = "@project.split('-')|reject('equalto', 'service')"
    camel = (
        f"'' if {own} else 'Item' if not {words}|list or {words}|map('length')|min < 2"
        f" else {words}|map('capitalize')|join"
    )
    one_of = "|".join(examples)
    return [
        Question(
            "project",
            "The project's name, which its command, chart, image and release have",
            "my-service",
            r"[a-z](?:[a-z0-9]|-(?=[a-z0-9])){0,39}",
            "at most 40 lower-case letters, digits and single hyphens, a letter first, such as my-service",
            tuple(sorted(_TAKEN | _PROGRAMS | _YAML_WORDS | packages)),
            refused="is taken by a package, a program, a word of YAML or the variables of another program",
        ),
        Question(
            "description",
            "What it does, in one line",
            description,
            r"[^\"\\`$<>&{}|\[\]\n]{1,100}",
            "one line of at most 100 characters, without quotation marks, brackets, `\\`, `$`, `&` and bars",
        ),
        Question(
            "owner",
            "Who owns it, as in CODEOWNERS: a user, an organization or a team",
            "[= @project =]-authors",
            r"[A-Za-z0-9][A-Za-z0-9-]{0,60}(?:/[A-Za-z0-9][A-Za-z0-9_-]{0,60})?",
            "the name of an account, such as acme or acme/platform",
        ),
        Question(
            "registry",
            "The registry of its images and charts, with the path in it",
            "localhost",
            r"[a-z0-9][a-z0-9.-]*(?::[0-9]{1,5})?(?:/[a-z0-9][a-z0-9._-]*)*",
            "a host and a path in lower case, such as ghcr.io/acme",
        ),
        Question(
            "license",
            "Its licence",
            "Apache-2.0",
            "Apache-2.0|MIT|BSD-3-Clause|Proprietary",
            "Apache-2.0, MIT, BSD-3-Clause or Proprietary",
        ),
        Question(
            "service",
            "Its first service, without the ending Service; empty for none",
            f"[= {camel} =]",
            r"(?:(?!.{31})(?:[A-Z][a-z0-9]+)+(?<!Service))?",
            "CamelCase of at most 30 letters and without the ending Service, such as Inventory, or nothing",
            tuple(sorted(word.capitalize() for word in _KEYWORDS | set(examples))),
            refused="is a keyword of Python or of protos, or the name of an example",
        ),
        Question(
            "package",
            "The proto package of that service",
            "[= @project|replace('-', '_') =].v1",
            r"(?!.{51})[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*\.v[1-9][0-9]*(?:(?:alpha|beta)[1-9][0-9]*)?",
            "lower-case words and a version, separated by dots, at most 50 characters, such as acme.shop.v1",
            tuple(sorted(_KEYWORDS | _PACKAGES_OF_OTHERS)),
            ".",
            "is a keyword of Python or of protos, or a package of others",
        ),
        Question(
            "examples",
            "Which examples to keep",
            f"[= 'all' if {own} else 'none' =]",
            rf"(?:all|none|(?:{one_of})(?:, ?(?:{one_of}))*)",
            f"all, none, or some of {', '.join(examples)}, separated by commas",
        ),
    ]
