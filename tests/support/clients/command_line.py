"""The command line, in this process or on a terminal."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from contextlib import suppress

from typer.testing import CliRunner, Result

from app.cli import command_line
from app.core.name import NAME
from app.services import SERVICES
from tests.support.servers.probe import PROBE
from tests.support.servers.process import with_probe

# The probe comes first, and the commands choose it where they choose a method themselves.
cli = command_line((PROBE, *SERVICES))


def run(*arguments: str, given: str = "", **variables: str) -> Result:
    """Runs the command line in this process, which spares the time that a new one takes to start.

    `given` stands on its standard input.
    """
    return CliRunner().invoke(cli, arguments, input=given, env=variables, prog_name=NAME)


class Terminal:
    """The command line, or another command, on a terminal of its own, 80 columns wide."""

    def __init__(self, *arguments: str, command: Sequence[str] = (NAME,), **variables: str) -> None:
        self._here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command, *arguments],  # Ctrl-C needs a session of its own
            env=with_probe(TERM="xterm", **variables),
            stdin=there,
            stdout=there,
            stderr=there,
        )
        os.close(there)
        self.text = ""
        self.is_as_before = False  # once the program has ended: whether it left the terminal's settings
        self._before = termios.tcgetattr(self._here)

    def type(self, text: str) -> None:
        os.write(self._here, text.encode())

    def expect(self, text: str, seconds: float = 20) -> None:
        """Reads until that is shown."""
        end = time.monotonic() + seconds
        while text not in self.text:
            assert time.monotonic() < end, self.text
            assert select.select([self._here], [], [], seconds)[0], self.text
            try:
                self.text += os.read(self._here, 65536).decode()
            except OSError:  # the program has ended
                assert text in self.text, self.text

    def end(self) -> int:
        """Waits for the program to end, and returns its exit code."""
        code = self.process.wait(20)
        self.is_as_before = termios.tcgetattr(self._here) == self._before
        with suppress(OSError):
            while select.select([self._here], [], [], 0)[0] and (more := os.read(self._here, 65536)):
                self.text += more.decode()
        os.close(self._here)
        return code
