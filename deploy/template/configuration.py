"""The files that copier and cookiecutter read: questions, values derived from the answers, and hooks."""

import json
from dataclasses import asdict
from pathlib import Path

import yaml

from deploy.template.answers import OWN
from deploy.template.jinja import ENVIRONMENT, FOLDER, literal, verbatim
from deploy.template.questions import Question

_HOOKS = Path(__file__).with_name("hooks")
ANSWERS = ".copier-answers.yml"
# No part of this repository itself.
ANSWERS_PATH = f"[% if not cookiecutter.{OWN} %]{ANSWERS}[% endif %]"
# Of a text: `$` would accept a line feed behind it.
_END = r"\Z"
# The version of copier that the template is tested with is in the lock file; older ones lack what it uses.
_COPIER = "9.4"
MESSAGE = """
The project is in [= cookiecutter.project =]. Next:

    cd [= cookiecutter.project =]
    git init --initial-branch=main
    make setup
    git add --all
    git commit --message "Start from the template"
    make run

`make setup` installs the tools into the folder, and generates the code of the protos. README.md has the next
steps."""
UPDATED = """
Check for conflicts before you commit; copier does not fail when there are some:

    git diff --name-only --diff-filter=U

The files below were moved or deleted in the template, newest version first. If you had changed one, your
changes are no longer in it. This lists the files that the update has deleted:

    git diff HEAD --diff-filter=D --name-only

{gone}"""


def following(project: str, examples: list[str]) -> dict[str, str]:
    """Values derived from the answers, as texts of the template language; an empty text is false."""
    kept = "cookiecutter.examples.replace(' ', '').split(',')"
    return {
        OWN: f"[= 'yes' if cookiecutter.project == '{project}' else '' =]",
        "__env": "[= cookiecutter.project|upper|replace('-', '_') =]",
        "__notice": "[= 'yes' if cookiecutter.license != 'Apache-2.0' else '' =]",
        "__spdx": "[= cookiecutter.license|replace('Proprietary', 'LicenseRef-Proprietary') =]",
        "__folder": "[% for one in cookiecutter.service %]"
        "[= '_' if one.isupper() and not loop.first else '' =][= one|lower =][% endfor %]",
        "__constant": "[= cookiecutter.__folder|upper =]",
        "__proto_folder": "[= cookiecutter.package|replace('.', '/') =]",
    } | {
        f"__{one}": f"[= 'yes' if cookiecutter.examples == 'all' or '{one}' in {kept} else '' =]"
        for one in examples
    }


def files(questions: list[Question], project: str, examples: list[str], gone: str) -> dict[str, str]:
    """The texts of the files beside the project's, by their paths.

    `gone` lists the files that each version has moved or deleted.
    """
    return {
        "copier.yml": copier(questions, project, examples, gone),
        "cookiecutter.json": cookiecutter(questions, project, examples),
        **{f"hooks/{name}": text for name, text in hooks(questions).items()},
    }


def copier(questions: list[Question], project: str, examples: list[str], gone: str) -> str:
    """The text of `copier.yml`."""
    found: dict[str, object] = {
        "_min_copier_version": _COPIER,
        "_subdirectory": f"[= {literal(FOLDER)} =]",
        "_templates_suffix": "",
        "_envops": ENVIRONMENT,
        "_answers_file": ANSWERS,
        "_message_after_copy": MESSAGE.replace(FOLDER, "[= _copier_conf.dst_path =]"),
    }
    found["_message_after_update"] = UPDATED.format(gone=gone)
    for one in questions:
        default = one.default.replace("@project", "project")
        if one.key == "project":
            default = "[= _copier_conf.dst_path.name or 'my-service' =]"
        found[one.key] = {
            "type": "str",
            "help": f"{one.help} ({one.expected})",
            "default": default,
            "validator": _validator(one),
        }
    # What the files of the template read, as cookiecutter calls it. An answer may have an apostrophe.
    computed = {one.key: f"[= {one.key} =]" for one in questions} | following(project, examples)
    lines = ["[% set cookiecutter = {} %]"]
    quoted = """'[= {name}|replace("'", "''") =]'"""
    for name, text in computed.items():
        update = f"cookiecutter.update({{{literal(name)}: value}})"
        lines.append(f"[% set value %]{text}[% endset %][% set _ = {update} %]")
        lines.append(f"{name}: " + quoted.format(name="value"))
    found["cookiecutter"] = {
        "type": "yaml",
        "when": False,
        "default": "\n".join([*lines, "__hook: ''"]),
    }
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=1000)


def _validator(question: Question) -> str:
    key = question.key
    words = "[" + ", ".join(map(literal, question.words)) + "]"
    part = f"{key}.split({literal(question.part)})" if question.part else f"[{key}]"
    expected = literal(f": expected {question.expected}")
    refusal = literal(f"invalid {key} ") + f""" ~ "'" ~ {key} ~ "'" """
    valid = f"{key}|regex_search({literal(f'^(?:{question.pattern}){_END}')})"
    text = f"[% if {valid} is none %][= {refusal} ~ {expected} =][% endif %]"
    if question.words:
        refused = f"""{refusal} ~ ": '" ~ part ~ "' {question.refused}\""""
        text += f"[% for part in {part} if part in {words} %][= {refused} =][% endfor %]"
    return text


def cookiecutter(questions: list[Question], project: str, examples: list[str]) -> str:
    """The text of `cookiecutter.json`."""
    found: dict[str, object] = {
        one.key: one.default.replace("@project", "cookiecutter.project") for one in questions
    }
    found |= following(project, examples)
    found["__hook"] = "yes"
    found["__prompts__"] = {one.key: f"{one.help} ({one.expected})" for one in questions}
    found["_jinja2_env_vars"] = ENVIRONMENT
    return json.dumps(found, indent=2) + "\n"


def hooks(questions: list[Question]) -> dict[str, str]:
    """The texts of cookiecutter's hooks, by their names."""
    rules = json.dumps([asdict(one) for one in questions])
    before = (_HOOKS / "pre_gen_project.py").read_text()
    after = (_HOOKS / "post_gen_project.py").read_text()
    return {
        "pre_gen_project.py": before.replace("QUESTIONS", verbatim(rules)),
        "post_gen_project.py": after.replace("MESSAGE", MESSAGE),
    }


def answers_file(questions: list[Question], version: str) -> str:
    """The text of the answers file, which `copier update` reads: as copier writes it, by both tools."""
    lines = [f"_commit: {version}", "_src_path: [= cookiecutter._template =]"]
    lines += [
        f"{one.key}: '[= cookiecutter.{one.key}|replace(\"'\", \"''\") =]'"
        for one in sorted(questions, key=lambda one: one.key)
    ]
    return (
        "# Written by the template, for `copier update`; it changes the answers, too.\n"
        "[% if _copier_conf is defined %][= _copier_answers|to_nice_yaml =]"
        "[% else %]" + "\n".join(lines) + "\n[% endif %]"
    )
