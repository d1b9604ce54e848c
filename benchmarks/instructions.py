"""Instructions of the inner loops of matrix products on AArch64, for processors that are not here.

An emulator says whether kernels are right, and nothing about their speed. What can be counted are
the instructions of the loop that takes most of the time, in the program that the compiler made:
those that multiply and add, those that load, and the others. The first have a least number, given
by how many products one of them computes. A processor that starts 4 instructions per cycle, 2 of
them vector arithmetic, is limited by arithmetic as long as a loop has at most twice as many
instructions as arithmetic ones.

The loop of a product is the innermost one in it with the most instructions that multiply: that of a
full tile.

    scripts/check_neon.sh
    python benchmarks/instructions.py
"""

import argparse
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import record

BUILD = Path(__file__).parents[1] / "build" / "neon"
LANES = 4  # of 32 bits
KERNELS = {
    ("neon", "fp32"): ("fmla", LANES),
    ("neon", "int8"): ("smull", 2 * LANES),
    ("neondot", "int8"): ("sdot", 4 * LANES),
    ("neoni8mm", "int8"): ("smmla", 8 * LANES),
}
"""Instruction set and precision -> the instruction that multiplies, and its products."""

OTHER_ARITHMETIC = {"smull": ("sadalp", "saddlp", "addp", "add")}
"""What the sum of the products needs besides, of vectors."""

_PRODUCTS = {"fp32": "4GemmI", "int8": "8GemmInt8I"}
"""Part of the mangled name of the products of a precision."""

_INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$")
_FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
_BRANCH = re.compile(r"^(?:b\.\w+|cbn?z|tbn?z|b)$")


class Instruction(NamedTuple):
    """A line of a disassembly."""

    address: int
    name: str
    operands: str

    @property
    def target(self) -> int | None:
        """Where a branch goes; None for other instructions."""
        if not _BRANCH.match(self.name):
            return None
        word = self.operands.split(", ")[-1].split()[0]
        return int(word, 16) if re.fullmatch("[0-9a-f]+", word) else None


def functions(disassembly: str) -> dict[str, list[Instruction]]:
    """The instructions of each function, by its name."""
    bodies: dict[str, list[Instruction]] = {}
    body: list[Instruction] = []
    for line in disassembly.splitlines():
        if match := _FUNCTION.match(line):
            body = bodies.setdefault(match[1], [])
        elif match := _INSTRUCTION.match(line):
            body.append(Instruction(int(match[1], 16), match[2], match[3]))
    return bodies


def innermost_loops(body: list[Instruction]) -> Iterator[list[Instruction]]:
    """The loops of a function that contain no other one."""
    places = {instruction.address: place for place, instruction in enumerate(body)}
    loops = [
        (places[target], place)
        for place, instruction in enumerate(body)
        if (target := instruction.target) in places and places[target] <= place
    ]
    for first, last in loops:
        contained = [loop for loop in loops if first <= loop[0] and loop[1] <= last]
        if contained == [(first, last)]:
            yield body[first : last + 1]


def count(loop: list[Instruction], multiply: str) -> dict[str, int]:
    """How many instructions of a loop multiply, add, load, and do something else."""
    adding = OTHER_ARITHMETIC.get(multiply, ())
    kinds = {"multiply": 0, "add": 0, "load": 0, "other": 0}
    for instruction in loop:
        is_vector = instruction.operands.startswith("v")
        if instruction.name.removesuffix("2") == multiply:
            kinds["multiply"] += 1
        elif is_vector and instruction.name.removesuffix("2") in adding:
            kinds["add"] += 1
        elif instruction.name.startswith("ld"):
            kinds["load"] += 1
        else:
            kinds["other"] += 1
    return kinds


def main_loop(disassembly: str, precision: str, multiply: str) -> list[Instruction]:
    """The innermost loop of a product with the most `multiply` instructions."""
    product = _PRODUCTS[precision]
    return max(
        (
            loop
            for name, body in functions(disassembly).items()
            if product in name
            for loop in innermost_loops(body)
        ),
        key=lambda loop: (count(loop, multiply)["multiply"], -len(loop)),
    )


def main() -> None:
    """Print a table and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--build", type=Path, default=BUILD, help="folder of check_neon.sh")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    report = record.describe_run(())
    report["compiler"] = _run("aarch64-linux-gnu-g++", "--version").splitlines()[0]
    report["loops"] = []
    print(
        f"{'':18}{'products':>9}{'multiply':>9}{'add':>5}{'load':>5}{'other':>6}{'all/arithmetic':>15}"
    )
    for (isa, precision), (multiply, products) in KERNELS.items():
        (object_file,) = options.build.rglob(f"isa/{isa}.cpp.o")
        disassembly = _run("aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", object_file)
        loop = main_loop(disassembly, precision, multiply)
        kinds = count(loop, multiply)
        row: dict[str, Any] = {
            "isa": isa, "precision": precision, "instruction": multiply,
            "products": kinds["multiply"] * products, **kinds,
        }  # fmt: skip
        report["loops"].append(row)
        ratio = len(loop) / (kinds["multiply"] + kinds["add"])
        print(
            f"{isa + ' ' + precision:18}{row['products']:9}{kinds['multiply']:9}{kinds['add']:5}"
            f"{kinds['load']:5}{kinds['other']:6}{ratio:15.2f}"
        )
    record.write(report, options.output or record.RESULTS / "instructions_aarch64.json", "")


def _run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
