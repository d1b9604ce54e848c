"""Why a model refuses a sequence."""

from typing import TYPE_CHECKING, Any

from bothways.errors import InputError
from bothways.inference.options import RunOptions
from bothways.streaming.settings import EncodeSettings

if TYPE_CHECKING:
    from bothways.encoder import Encoder

__all__ = ["find_refusal"]


def find_refusal(encoder: "Encoder", value: Any, settings: EncodeSettings) -> InputError | None:
    """The error of a sequence that cannot be encoded; None if it can be."""
    options = RunOptions(
        on_overflow=settings.on_overflow,
        on_unknown=settings.on_unknown,
        prompt=settings.prompt,
        prompt_name=settings.prompt_name,
        role=settings.role,
    )
    try:
        encoder.session.prepare([value], options)
    except InputError as error:
        return error
    return None
