"""The properties that every encoder's config has, a Transformer's or a baseline's."""

from typing import Protocol, runtime_checkable

from bothways.model.variants import Input

__all__ = ["EncoderShape"]


@runtime_checkable
class EncoderShape(Protocol):
    """Sizes that readers, batches and heads need from the config of any encoder."""

    @property
    def num_layers(self) -> int:
        """Number of layers."""

    @property
    def d_model(self) -> int:
        """Width of the output vectors."""

    @property
    def max_length(self) -> int:
        """Length of the longest sequence, in positions."""

    @property
    def input(self) -> Input:
        """Whether the encoder takes token ids or vectors."""

    @property
    def vocab_size(self) -> int:
        """Number of token ids; 0 for an encoder of vectors."""

    @property
    def num_channels(self) -> int:
        """Numbers in each input vector; 0 for an encoder of tokens."""

    @property
    def num_segments(self) -> int:
        """Number of segments (token types); 0 for none."""

    @property
    def embedding_width(self) -> int:
        """Width of the token embedding table."""
