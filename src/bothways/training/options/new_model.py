"""Options of a new model: its size and architecture, and how it reads sequences."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from bothways.errors import ConfigError
from bothways.io.options import Option, check_options
from bothways.model.baselines import EncoderName
from bothways.model.inputs import InputKind

__all__ = ["Architecture", "NewModelOptions", "SizeName", "Vocabulary"]

SizeName = Literal["tiny", "small", "base"]
Vocabulary = Literal["wordpiece", "bpe", "unigram"]
Architecture = Literal["modern", "classic", "aligned"]
"""`modern`: rotary positions, pre-norm, gated feed-forward and no biases, as in Warner et al. 2024,
section 2.1. `classic`: learned positions and post-norm, as in Devlin et al. 2019. `aligned`: the
blocks of `modern` with learned positions, for sequences whose positions correspond."""

_MODEL = "Model"


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewModelOptions:
    """How to create a new model.

    fields: fields of the Transformer's `EncoderConfig`, as `sizes.new_config` takes them.

    Raises:
        ConfigError: naming the field, its value and what was expected.
    """

    size: Annotated[
        SizeName | None,
        Option(
            "2 layers of width 128, 4 of 256, or 12 of 768 (default: by the rows).",
            group=_MODEL,
        ),
    ] = None  # fmt: skip
    architecture: Annotated[
        Architecture | None,
        Option(
            "Architecture of a new model: rotary positions, pre-norm and gated feed-forward "
            "(modern), the same with learned positions (aligned), or learned positions and "
            "post-norm (classic) (default modern; aligned to classify or regress symbols or "
            "series of one length).",
            group=_MODEL, advanced=True,
        ),
    ] = None  # fmt: skip
    encoder: Annotated[
        EncoderName,
        Option(
            "Kind of a new encoder; baselines get as many weights as the Transformer of that size.",
            group=_MODEL, advanced=True,
        ),
    ] = "transformer"  # fmt: skip
    encoder_layers: Annotated[
        int | None,
        Option(
            "Number of layers of a baseline encoder (default: as many as the Transformer).",
            group=_MODEL, unit="COUNT", command_line=False,
        ),
    ] = None  # fmt: skip
    max_length: Annotated[
        int | None,
        Option(
            "Maximum sequence length in tokens (default: the model's; 512 for a new one, more for "
            "longer symbol sequences and series).",
            group=_MODEL, advanced=True, unit="TOKENS", minimum=1,
        ),
    ] = None  # fmt: skip
    alphabet: Annotated[
        str | None,
        Option(
            "Read symbols instead of text: smiles, protein, dna, dna:6 (6-mers), characters, "
            "words, or an alphabet.json.",
            group=_MODEL, unit="ALPHABET",
        ),
    ] = None  # fmt: skip
    series_stem: Annotated[
        bool | None,
        Option(
            "Series: read patches of positions, with differences and random convolutions "
            "(default: to classify or regress fewer than 1,000 rows of more than 48 positions).",
            group=_MODEL, advanced=True, flags=("--series-stem/--no-series-stem",),
        ),
    ] = None  # fmt: skip
    vocabulary: Annotated[
        Vocabulary,
        Option("Type of the vocabulary that a new text model trains.", group=_MODEL, advanced=True),
    ] = "wordpiece"  # fmt: skip
    vocab_size: Annotated[
        int | None,
        Option(
            "Number of tokens in a new vocabulary (default 8,192, 16,384 or 30,528, by model "
            "size).",
            group=_MODEL, advanced=True, unit="TOKENS", minimum=1,
        ),
    ] = None  # fmt: skip
    lowercase: Annotated[
        bool | None,
        Option(
            "Ignore case in a new vocabulary (default: yes, except for tag).",
            group=_MODEL, advanced=True, flags=("--lowercase/--keep-case",),
        ),
    ] = None  # fmt: skip
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_options(self)
        if self.encoder_layers is not None and self.encoder == "transformer":
            raise ConfigError(
                "encoder_layers is for baseline encoders; for a Transformer set num_layers in "
                "[encoder]"
            )

    @property
    def kind(self) -> InputKind | None:
        """The kind of sequence that an alphabet implies; None to detect it from the data."""
        return "symbols" if self.alphabet else None
