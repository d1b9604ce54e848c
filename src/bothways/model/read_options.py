"""`ReadOptions`: what a model folder leaves out, and which of its models is meant."""

import dataclasses
from typing import Annotated, TypedDict

from bothways.io.options import Option

__all__ = ["ReadArguments", "ReadOptions"]


class ReadArguments(TypedDict):
    """Arguments of `read_folder` and of `bothways.load`, which document them."""

    family: str | None
    adapter: str | None
    route: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How to read a model folder: the options of `read_folder`, of every command with a model."""

    family: Annotated[
        str | None,
        Option(
            "Model family, for a folder whose config.json has no model_type.",
            group="Model", unit="NAME", advanced=True,
        ),
    ] = None  # fmt: skip
    adapter: Annotated[
        str | None,
        Option(
            "Task whose adapter is merged, in models that have adapters for tasks.",
            group="Model", unit="NAME", advanced=True,
        ),
    ] = None  # fmt: skip
    route: Annotated[
        str | None,
        Option(
            "Side of a folder that has several, such as query or document; `bothways inspect` "
            "lists them (default: the folder's default).",
            group="Model", unit="NAME", advanced=True,
        ),
    ] = None  # fmt: skip

    @property
    def reading(self) -> ReadArguments:
        """The options as arguments."""
        return {"family": self.family, "adapter": self.adapter, "route": self.route}
