"""The commands of docs/kubernetes.md are those of the chart's notes. `make e2e` runs both."""

import re

from app.core.name import NAME
from tests.docs.pages import Page
from tests.support.chart import CHART


def test_the_commands_after_the_install_are_those_of_the_charts_notes() -> None:
    notes = (CHART / "templates" / "NOTES.txt").read_text()
    for template, value in {
        "{{ $kubectl }}": "kubectl",
        "{{ $name }}": NAME,
        "{{ $metrics.name }}": NAME,
        "{{ $forwarded }}": "50051",
        "{{ int $metrics.port }}": "9464",
        "{{ $local }}": "",
        f'{{{{ include "{NAME}.tokenSecret" . }}}}': f"{NAME}-token",
        "{{ $options }}": " --token-file token",
    }.items():
        notes = notes.replace(template, value)
    page = Page("docs/kubernetes.md")
    shown = re.sub(
        r"<!-- service: .*?<!-- /service -->", "", page.section("## Call the server"), flags=re.DOTALL
    )
    commands = [
        line
        for block in page.blocks
        if block.language == "sh" and block.text in shown
        for line in block.text.splitlines()
        if line.startswith(("kubectl ", f"{NAME} "))
    ]
    assert len(commands) >= 3
    for command in commands:
        assert f"    {command}\n" in notes, command
