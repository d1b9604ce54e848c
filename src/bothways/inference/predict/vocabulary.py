"""The vocabulary of a model: its mask token, the names of its tokens, and a limit on logits."""

from bothways.errors import InputError
from bothways.inference.session import Session
from bothways.sequences.token_names import token_names

__all__ = ["LOGIT_BYTES", "mask_token", "mask_token_id", "names_of_tokens"]

LOGIT_BYTES = 1 << 24
"""Bytes of logits in memory at a time: about the size of a processor's cache."""


def names_of_tokens(session: Session) -> tuple[str, ...]:
    """The name of each token of the vocabulary, by id."""
    return token_names(session.reader, session.spec.config.vocab_size)


def mask_token_id(session: Session) -> int:
    """The id of the mask token.

    Raises:
        InputError: if the model has none.
    """
    if session.reader is None or session.reader.kind == "series":
        raise InputError("this model has no mask token, because it has no vocabulary")
    # Imported here because it needs a library that other kinds of models do without.
    from bothways.sequences.special_tokens import special_tokens

    mask = special_tokens(session.reader).mask
    if mask is None:
        raise InputError("this model has no mask token in its vocabulary")
    return mask


def mask_token(session: Session) -> str:
    """The mask token, as a text writes it.

    Raises:
        InputError: if the model has none.
    """
    return names_of_tokens(session)[mask_token_id(session)]
