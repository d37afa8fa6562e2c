"""The commands of docs/kubernetes.md are those of the chart's notes. `make e2e` runs both."""

import re

from tests.docs.pages import Page
from tests.support.servers.process import ROOT


def test_the_commands_after_the_install_are_those_of_the_charts_notes() -> None:
    notes = (ROOT / "helm" / "quoter" / "templates" / "NOTES.txt").read_text()
    for template, value in {
        "{{ $kubectl }}": "kubectl",
        "{{ $name }}": "quoter",
        "{{ $metrics.name }}": "quoter",
        "{{ $forwarded }}": "50051",
        "{{ int $metrics.port }}": "9464",
        "{{ $local }}": "",
        '{{ include "quoter.tokenSecret" . }}': "quoter-token",
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
        if line.startswith(("kubectl ", "quoter "))
    ]
    assert len(commands) >= 3
    for command in commands:
        assert f"    {command}\n" in notes, command
