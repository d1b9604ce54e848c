"""A server in a process of its own, and its log."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

__all__ = ["ServerProcess"]


class ServerProcess:
    """`bothways serve` in a process of its own.

    code: run before the command, to replace parts of the server. python: the interpreter.
    """

    def __init__(self, *arguments: str, code: str = "", python: str = sys.executable) -> None:
        command = [python, "-m", "bothways", "serve", *arguments]
        if code:
            command[1:3] = ["-c", f"{code}\nfrom bothways.cli import main\nmain()"]
        environment = {**os.environ, "BOTHWAYS_SERVE_THREADS": "1"}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.address = self.find(r"listening on (\S+)")[1]

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def find(self, pattern: str) -> re.Match[str]:
        """Wait for a line of the log."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            for line in list(self.lines):
                if match := re.search(pattern, line):
                    return match
            assert not ended, "".join(self.lines)
            time.sleep(0.005)
        raise AssertionError(f"no line {pattern!r} in\n{''.join(self.lines)}")

    def end(self, number: int = signal.SIGTERM) -> int:
        """The exit code after a signal."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """The exit code, when the process has ended."""
        code = self.process.wait(timeout=30)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def kill(self) -> None:
        """End the process at once, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
