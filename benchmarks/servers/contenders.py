"""Servers as processes: how each is started, and whether it is installed."""

import contextlib
import dataclasses
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

__all__ = ["CONTENDERS", "Contender", "Server"]

_HERE = Path(__file__).parent
_START_S = 180.0
_END_S = 40.0


@dataclasses.dataclass(frozen=True)
class Contender:
    """A server to measure.

    environment: the folder of its virtual environment below --environments; "" for this one.
    arguments: its command line after the interpreter, with {model}, {port} and {threads}.
    """

    name: str
    environment: str
    arguments: tuple[str, ...]

    def python(self, environments: Path) -> Path:
        """The interpreter of its environment."""
        if not self.environment:
            return Path(sys.executable)
        return environments / self.environment / "bin" / "python"

    def missing(self, environments: Path) -> str:
        """How to install it, "" if it is."""
        python = self.python(environments)
        if python.exists():
            return ""
        folder = python.parents[1]
        requirements = _HERE / f"{self.environment}.txt"
        return f"python -m venv {folder} && {python} -m pip install -r {requirements}"


def _bothways(precision: str) -> Contender:
    options = "--port {port} --threads {threads} --no-log-requests --no-coalesce --precision"
    arguments = ("-m", "bothways", "serve", "{model}", *options.split(), precision)
    return Contender(f"bothways {precision}", "", arguments)


CONTENDERS = (
    _bothways("fp32"),
    _bothways("int8"),
    Contender(
        "infinity",
        "infinity",
        (
            *("-m", "infinity_emb.cli", "v2", "--model-id", "{model}", "--engine", "torch"),
            *("--device", "cpu", "--dtype", "float32", "--host", "127.0.0.1", "--port", "{port}"),
            *("--url-prefix", "/v1", "--no-trust-remote-code", "--no-bettertransformer"),
        ),
    ),
    Contender("FastAPI by hand", "fastapi", (str(_HERE / "by_hand.py"), "{model}", "{port}")),
)


class Server:
    """A contender's process on a port of loopback that accepts requests; call `close`."""

    def __init__(self, contender: Contender, model: Path, threads: int, environments: Path) -> None:
        self.name = contender.name
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        values = {"model": str(model), "port": str(self.port), "threads": str(threads)}
        arguments = [argument.format(**values) for argument in contender.arguments]
        self._command = [str(contender.python(environments)), *arguments]
        environment = os.environ | {
            "HF_HUB_OFFLINE": "1",
            "INFINITY_ANONYMOUS_USAGE_STATS": "0",
            "OMP_NUM_THREADS": str(threads),
        }
        if contender.environment:
            environment.pop("PYTHONPATH", None)
        self.process = subprocess.Popen(
            self._command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def memory(self) -> int:
        """Resident bytes of the process."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """Open file descriptors of the process."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def close(self) -> None:
        """End the process."""
        self.process.terminate()
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def settle(self) -> None:
        """Wait until the server has answered what it has, also to clients that have left."""
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            self._ask(timeout=60)

    def _ask(self, timeout: float) -> None:
        url = f"http://127.0.0.1:{self.port}/v1/embeddings"
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, b'{"input": ["a"]}', headers)
        with urllib.request.urlopen(request, timeout=timeout):  # noqa: S310
            pass

    def _wait(self) -> None:
        """Wait until the server answers a request with a vector."""
        deadline = time.monotonic() + _START_S
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start: {shlex.join(self._command)}")
            try:
                self._ask(timeout=5)
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.2)
            else:
                return
