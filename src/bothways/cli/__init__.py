"""The command line: `bothways COMMAND ...`, and `python -m bothways COMMAND ...`.

Each command is one thin file; what they share is in `options` (every option, once), `console`
(messages and exit codes), `models` (loading) and, for `encode`, `memory`, `streaming` and
`progress`. Modules here import nothing heavy at their top: help does not wait for torch.
"""

from bothways.cli.app import main

__all__ = ["main"]
