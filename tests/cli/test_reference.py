"""docs/cli.md is the reference of the commands as they are."""

from pathlib import Path

from bothways.cli.reference import commands, reference

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_reference_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), (
        "docs/cli.md is out of date; run: python -m bothways.cli.reference docs/cli.md"
    )


def test_the_reference_has_a_section_for_every_command() -> None:
    lines = reference().splitlines()
    for name, _ in commands():
        assert name == "bothways" or any(line.lstrip("#") == f" {name}" for line in lines)
