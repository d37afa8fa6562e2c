"""The questions that a fork answers, and which answers are valid, for both copier and cookiecutter."""

import keyword
import re
from dataclasses import dataclass

from deploy.service import PROTO_WORDS

# Prefixes of variables that other programs read, and packages of this repository.
_TAKEN = {"app", "otel", "grpc", "kubernetes", "tests"}
# Programs beside which its command is installed, but for those that have the name of their package.
_PROGRAMS = {
    "actionlint",
    "buf",
    "cffi-gen-src",
    "custom-resources",
    "dmypy",
    "elasticapm-run",
    "ghz",
    "go",
    "gofmt",
    "helm",
    "kind",
    "kube-score",
    "markdown-it",
    "mypyc",
    "normalizer",
    "opentelemetry-bootstrap",
    "opentelemetry-instrument",
    "pip",
    "prometheus",
    "promtool",
    "protoc-gen-mypy",
    "pygmentize",
    "python",
    "python-grpc-tools-protoc",
    "python3",
    "slugify",
    "stubgen",
    "stubtest",
    "uv",
}
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
        """What is wrong with an answer, or None. Both tools have this rule in forms of their own."""
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
    snake = "@project|replace('-', '_')"
    keywords = sorted(_KEYWORDS | _PACKAGES_OF_OTHERS)
    services = sorted(word.capitalize() for word in _KEYWORDS | set(examples))
    one_of = "|".join(examples)
    return [
        Question(
            "project",
            "Name of the project, its command, chart, image and release",
            "my-service",
            r"[a-z](?:[a-z0-9]|-(?=[a-z0-9])){0,39}",
            "at most 40 lower-case letters, digits and single hyphens, a letter first, such as my-service",
            tuple(sorted(_TAKEN | _PROGRAMS | _YAML_WORDS | packages)),
            refused="is the name of a package, a program, a YAML keyword or a prefix of variables",
        ),
        Question(
            "description",
            "What the project does, in one line",
            description,
            r"[^\"\\`$<>&{}|\[\]\n]{1,100}",
            "one line of at most 100 characters, without quotation marks, brackets, `\\`, `$`, `&` and bars",
        ),
        Question(
            "owner",
            "Owner in CODEOWNERS: a user, an organization or a team",
            "[= @project =]-authors",
            r"[A-Za-z0-9][A-Za-z0-9-]{0,60}(?:/[A-Za-z0-9][A-Za-z0-9_-]{0,60})?",
            "the name of an account, such as acme or acme/platform",
        ),
        Question(
            "registry",
            "Registry for images and charts, with its path",
            "localhost",
            r"[a-z0-9][a-z0-9.-]*(?::[0-9]{1,5})?(?:/[a-z0-9][a-z0-9._-]*)*",
            "a host and a path in lower case, such as ghcr.io/acme",
        ),
        Question(
            "license",
            "Licence of the project",
            "Apache-2.0",
            "Apache-2.0|MIT|BSD-3-Clause|Proprietary",
            "Apache-2.0, MIT, BSD-3-Clause or Proprietary",
        ),
        Question(
            "service",
            "Name of the first service, without `Service` at the end; empty for none",
            f"[% set words = @project.split('-')|reject('equalto', 'service')|list %]"
            "[% set name = words|map('capitalize')|join %]"
            f"[= '' if {own} else name if name and words|map('length')|min > 1 and name|length <= 30"
            f" and name not in {services} else 'Item' =]",
            r"(?:(?!.{31})(?:[A-Z][a-z0-9]+)+(?<!Service))?",
            "CamelCase of at most 30 characters, without `Service` at the end, such as Inventory; or nothing",
            tuple(services),
            refused="is a keyword of Python or of protos, or the name of an example",
        ),
        Question(
            "package",
            "Proto package of that service",
            f"[= {snake} =][= '_api' if {snake} in {keywords} else '' =].v1",
            r"(?!.{51})[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*\.v[1-9][0-9]*(?:(?:alpha|beta)[1-9][0-9]*)?",
            "lower-case words and a version, separated by dots, at most 50 characters, such as acme.shop.v1",
            tuple(keywords),
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
