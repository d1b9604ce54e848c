"""vLLM's dialect of /classify."""

from typing import Literal

import msgspec

from bothways.server.api.openai import Usage

__all__ = ["ClassifyReply", "ClassifyRequest", "ClassifyRow"]


class ClassifyRequest(msgspec.Struct, kw_only=True):
    """The body of POST /classify.

    input: a text, or texts and pairs of texts. threshold: the probability that a label needs, where
    an input may have several.
    """

    input: str | list[str | list[str]]
    model: str | None = None
    threshold: float = 0.5
    on_overflow: str | None = None
    user: str | None = None


class ClassifyRow(msgspec.Struct, kw_only=True):
    """The most probable label of an input, or those above the threshold; probs of all labels."""

    index: int
    label: str | list[str]
    probs: list[float]
    num_classes: int


class ClassifyReply(msgspec.Struct, kw_only=True):
    """The body of a reply of POST /classify. labels: the names of the probabilities, in order."""

    id: str
    created: int
    model: str
    data: list[ClassifyRow]
    labels: list[str]
    usage: Usage
    truncated: list[int]
    object: Literal["list"] = "list"
