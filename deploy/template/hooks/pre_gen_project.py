"""Refuses answers that are not valid, in the words that copier has."""

import json
import re
import sys

answers = json.loads(r"""[= cookiecutter|jsonify =]""")
questions = json.loads(r"""QUESTIONS""")

errors = []
for question in questions:
    answer = answers[question["key"]]
    if not re.fullmatch(question["pattern"], answer):
        errors.append(f"invalid {question['key']} {answer!r}: expected {question['expected']}")
        continue
    parts = answer.split(question["part"]) if question["part"] else [answer]
    errors += [
        f"invalid {question['key']} {answer!r}: {part!r} {question['refused']}"
        for part in parts
        if part in question["words"]
    ]
if errors:
    sys.exit("\n".join(errors))
