"""The command line: `bothways COMMAND ...`, and `python -m bothways COMMAND ...`.

Each command is a file of its name. `generated_options` and `command` build its options from
dataclasses; `options` has those that commands share. Modules import nothing heavy at their top, and
a command is imported only when it is used, so help and completion do not wait for torch.
"""

from bothways.cli.signals import exit_at_signals

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code."""
    exit_at_signals()  # before anything else is imported
    from bothways.cli.app import app

    app(prog_name="bothways")
