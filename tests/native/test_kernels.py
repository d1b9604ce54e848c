"""The C++ of the engine: its kernels on each instruction set, and its warnings on each compiler.

Programs are built in `build/`, with warnings as errors; later runs only update them.
"""

import json
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bothways.native import available_isas

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "src" / "bothways" / "native" / "engine" / "tools"


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command and return its output; fail the test, with the output, if it fails."""
    done = subprocess.run(
        command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stdout[-6000:]}"
    return done.stdout


def configure(folder: str, *options: str) -> Path:
    """Configure the engine's programs in a subfolder of `build/`, and return its path."""
    if not shutil.which("cmake"):
        pytest.skip("cmake is not installed")
    build = ROOT / "build" / folder
    if shutil.which("ninja") and not (build / "CMakeCache.txt").exists():
        options = ("-G", "Ninja", *options)
    run("cmake", "-S", TOOLS, "-B", build, "-DBOTHWAYS_WERROR=ON", *options)
    return build


def test_every_kernel_agrees_with_a_scalar_reference() -> None:
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        pytest.skip("no C++ compiler is installed")
    build = configure("tools")
    run("cmake", "--build", build, "--target", "check_kernels", "--parallel", "2")
    report = run(build / "check_kernels")
    assert {line.split()[0] for line in report.splitlines()} == set(available_isas())


def test_clang_compiles_the_engine_without_warnings() -> None:
    """Parses every file: reports all warnings but those of the optimizer, within seconds."""
    clang = shutil.which("clang++")
    if not clang:
        pytest.skip("clang++ is not installed")
    build = configure("tools-clang", f"-DCMAKE_CXX_COMPILER={clang}")
    commands = json.loads((build / "compile_commands.json").read_text())

    def check(command: dict[str, str]) -> None:
        arguments = shlex.split(command["command"])
        run(*arguments, "-fsyntax-only", cwd=Path(command["directory"]))

    assert len(commands) > len(available_isas())
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(check, commands))
