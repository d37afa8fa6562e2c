"""The commands of docs/kubernetes.md are those of the chart's notes, which the end-to-end tests run."""

from tests.docs.pages import Page
from tests.support.servers.process import ROOT


def test_the_commands_after_the_install_are_those_of_the_charts_notes() -> None:
    notes = (ROOT / "helm" / "quoter" / "templates" / "NOTES.txt").read_text()
    for template, value in {
        "{{ $kubectl }}": "kubectl",
        "{{ $name }}": "quoter",
        '{{ include "quoter.tokenSecret" . }}': "quoter-token",
        "{{ $tls }}": "",
    }.items():
        notes = notes.replace(template, value)
    page = Page("docs/kubernetes.md")
    shown = page.section("## Call the server")
    commands = [
        line
        for block in page.blocks
        if block.language == "sh" and block.text in shown
        for line in block.text.splitlines()
        if line.startswith(("kubectl ", "quoter "))
    ]
    assert len(commands) >= 3
    for command in commands:
        assert f"    {command}\n" in notes or command.startswith("quoter doctor"), command
