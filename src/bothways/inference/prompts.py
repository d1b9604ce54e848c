"""The prompt of a call: a literal text, a named prompt of the model, or that of a role."""

from typing import Literal, NamedTuple, get_args

from bothways.errors import InputError
from bothways.model.spec import ModelSpec
from bothways.sequences.reader import type_name

__all__ = ["Prompt", "PromptRole", "check_prompt_arguments", "select_prompt"]

PromptRole = Literal["query", "document"]

_NAMES: dict[PromptRole, tuple[str, ...]] = {
    "query": ("query",),
    "document": ("document", "passage", "corpus"),
}
"""Names of the prompt of each role, in the order of `encode_query` and `encode_document` of
sentence-transformers."""


class Prompt(NamedTuple):
    """The text put before each sequence, "" for none; its name, None for a literal text."""

    text: str
    name: str | None = None


def check_prompt_arguments(
    prompt: str | None, prompt_name: str | None, role: PromptRole | None
) -> None:
    """Check that at most one argument chooses the prompt.

    Raises:
        InputError: naming the arguments.
    """
    if prompt is None and prompt_name is None and role is None:
        return
    arguments = {"prompt": prompt, "prompt_name": prompt_name, "role": role}
    for name in ("prompt", "prompt_name"):
        if not isinstance(arguments[name], str | None):
            raise InputError(f"{name}: got {type_name(arguments[name])}; expected a str, or None")
    given = [f"{name}={value!r}" for name, value in arguments.items() if value is not None]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)}: expected one of them, as each chooses the prompt")
    if role is not None and role not in get_args(PromptRole):
        raise InputError(f"role={role!r}: expected one of {', '.join(get_args(PromptRole))}")


def select_prompt(
    spec: ModelSpec, prompt: str | None, prompt_name: str | None, role: PromptRole | None
) -> Prompt:
    """The prompt that one of the arguments chooses; the model's default if all are None.

    role: the model's prompt for it, or none if the model has no such prompt.

    Raises:
        InputError: if the model has no prompt of that name, or a literal text is the name of one.
    """
    prompts = spec.prompts
    if prompt is not None:
        if prompt in prompts:
            raise InputError(
                f"prompt={prompt!r} is the name of a prompt of this model, and `prompt` is a "
                f"literal text; choose the named one with prompt_name={prompt!r}"
            )
        return Prompt(prompt)
    if role is not None:
        names = [name for name in _NAMES[role] if name in prompts]
        return Prompt(prompts[names[0]], names[0]) if names else Prompt("")
    name = spec.default_prompt if prompt_name is None else prompt_name
    if name is None:
        return Prompt("")
    if name not in prompts:
        available = (
            f"expected one of {', '.join(map(repr, prompts))}"
            if prompts
            else ("this model has no named prompts; pass the text itself as `prompt`")
        )
        raise InputError(f"prompt_name={name!r}: {available}")
    return Prompt(prompts[name], name)
