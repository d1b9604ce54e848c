"""Help for a command of many options: in groups, each under its name."""

from typing import Any

from typer.core import TyperCommand

__all__ = ["GroupedCommand"]

_OTHERS = "Options"


class GroupedCommand(TyperCommand):
    """A command whose help lists options by their `rich_help_panel`, in plain text."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then each group; those of no group come last."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        others: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if parameter.param_type_name == "argument":
                groups["Arguments"].append(record)
            elif group := getattr(parameter, "rich_help_panel", None):
                groups.setdefault(group, []).append(record)
            else:
                others.append(record)
        for name, records in (groups | {_OTHERS: others}).items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)
