"""The options of `bothways train`, once each, in the groups that its help shows.

All are None unless given: what is meant then, `training.options` and `training.settings` say.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from bothways.cli.options import ALPHABETS
from bothways.files.formats import TextFormat
from bothways.model.baselines import EncoderName
from bothways.model.config import PoolingMode
from bothways.training.options.new_model import Architecture, SizeName, Vocabulary
from bothways.training.options.objective import PairLoss, TrainingTask
from bothways.training.settings import Sharding, TrainingPrecision

_DATA, _MODEL = "Data", "Model"
_OBJECTIVE, _TRAINING = "What is learned", "Training"


def _option(
    group: str, text: str, *names: str, metavar: str | None = None, minimum: int | None = None
) -> Any:
    """An option of a group; without names it is called as its parameter."""
    return typer.Option(
        *names,
        metavar=metavar,
        min=minimum,
        help=text,
        show_default=False,
        rich_help_panel=group,
    )


# What is learned, from what, and where it goes.

TaskArgument = Annotated[
    TrainingTask,
    typer.Argument(
        metavar="TASK",
        help="mlm: hidden tokens or values. classify: a label, or several. tag: a label for each "
        "word, symbol or position. regress: numbers. contrast: which texts belong together.",
        show_default=False,
    ),
]
Files = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help="Files to learn from: .csv, .tsv, .jsonl, .parquet; for mlm also .txt and .fasta; "
        "for tag also CoNLL (.conll, .txt, .tsv).",
        show_default=False,
    ),
]
Out = Annotated[
    str, typer.Option("--out", "-o", metavar="DIR", help="The run's folder.", show_default=False)
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run that is in the folder.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A TOML file of options, in tables [data], [model], [encoder], [objective] and "
        "[training]; those given here win.",
        show_default=False,
    ),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any option of those tables, such as training.weight_decay=0.1; without a table's "
        "name a field of the encoder, such as num_layers=8. May be repeated.",
        show_default=False,
    ),
]

# Data.

Columns = Annotated[
    list[str] | None,
    _option(
        _DATA,
        "The column of the sequences. Twice for a pair of texts; for contrast the anchor, then its "
        "positive, then any negatives.",
        "--column",
        metavar="NAME",
    ),
]
Labels = Annotated[
    list[str] | None,
    _option(
        _DATA,
        "The column of the labels, tags or numbers; several columns of numbers may be given.",
        "--label",
        "--target",
        metavar="NAME",
    ),
]
LabelSeparator = Annotated[
    str | None,
    _option(
        _DATA, "What parts the labels of a row that may have several, such as ';'.", metavar="TEXT"
    ),
]
Validation = Annotated[
    list[str] | None,
    _option(_DATA, "Validate on this file. By default on a part of the data.", metavar="FILE"),
]
HeldOut = Annotated[
    float | None,
    _option(
        _DATA,
        "Share of the rows to validate on. By default a tenth, of at most 10,000; 0 for none.",
        metavar="SHARE",
    ),
]
SplitBy = Annotated[
    str | None,
    _option(_DATA, "Hold out whole values of this column; `file` for whole files.", metavar="NAME"),
]
InputFormat = Annotated[
    TextFormat | None,
    _option(_DATA, "How to read files whose names do not tell."),
]

# Model.

Source = Annotated[
    str | None,
    _option(
        _MODEL,
        "The model to start from: minilm, a folder, org/name. By default a fresh one.",
        "--from",
        metavar="MODEL",
    ),
]
SizeOption = Annotated[
    SizeName | None,
    _option(
        _MODEL, "Of a fresh model: 2 layers of 128, 4 of 256 (the default), or 12 of 768.", "--size"
    ),
]
ArchitectureOption = Annotated[
    Architecture | None,
    _option(
        _MODEL,
        "Of a fresh model: rotary positions, norms before, gated (the default); or learned "
        "positions, norms behind.",
        "--architecture",
    ),
]
EncoderOption = Annotated[
    EncoderName | None,
    _option(
        _MODEL,
        "Train, in place of a fresh Transformer of that size, another kind of encoder with as many "
        "weights, to compare the two.",
        "--encoder",
    ),
]
AlphabetOption = Annotated[
    str | None,
    _option(
        _MODEL,
        f"Read symbols rather than text: {ALPHABETS}.",
        "--alphabet",
        metavar="NAME",
    ),
]
VocabularyOption = Annotated[
    Vocabulary | None,
    _option(_MODEL, "How a fresh model cuts text; by default wordpiece.", "--vocabulary"),
]
VocabSize = Annotated[
    int | None,
    _option(
        _MODEL,
        "Tokens of a fresh vocabulary. By default 8,192, 16,384 or 30,528, with the size.",
        metavar="COUNT",
        minimum=1,
    ),
]
Lowercase = Annotated[
    bool | None,
    _option(
        _MODEL,
        "Whether a fresh vocabulary ignores case; by default it does, except to tag.",
        "--lowercase/--keep-case",
    ),
]
MaxLength = Annotated[
    int | None,
    _option(
        _MODEL,
        "The longest sequence, in tokens. By default as the model takes, 512 of a fresh one.",
        metavar="COUNT",
        minimum=1,
    ),
]

# What is learned.

HeadPooling = Annotated[
    PoolingMode | None,
    _option(
        _OBJECTIVE, "classify, regress: how positions become one vector; by default their mean."
    ),
]
ClassWeights = Annotated[
    bool | None,
    _option(
        _OBJECTIVE, "classify, tag: let rare classes count as much as frequent ones.", "--balanced"
    ),
]
LabelSmoothing = Annotated[
    float | None,
    _option(
        _OBJECTIVE,
        "classify, tag: spread this share of each target over all labels.",
        metavar="SHARE",
    ),
]
MaskRate = Annotated[
    float | None,
    _option(_OBJECTIVE, "mlm: share of tokens to tell; by default 0.15.", metavar="SHARE"),
]
WholeWords = Annotated[
    bool | None,
    _option(_OBJECTIVE, "mlm: hide all tokens of a word together.", "--whole-words"),
]
Loss = Annotated[
    PairLoss | None,
    _option(
        _OBJECTIVE,
        "contrast: in-batch (negatives of other pairs), cosine (scored pairs) or contrastive "
        "(pairs labeled 0 and 1); by default chosen by the columns.",
    ),
]
Temperature = Annotated[
    float | None,
    _option(
        _OBJECTIVE, "contrast: what similarities are divided by; by default 0.05.", metavar="NUMBER"
    ),
]
MatryoshkaDimensions = Annotated[
    list[int] | None,
    _option(
        _OBJECTIVE,
        "contrast: train so many leading dimensions to serve alone (Matryoshka). May be repeated.",
        "--dimensions",
        metavar="COUNT",
    ),
]

# Training.

Epochs = Annotated[
    float | None,
    _option(
        _TRAINING,
        "How often to see each row. By default 20 times, 4 from a model.",
        metavar="NUMBER",
    ),
]
Steps = Annotated[
    int | None,
    _option(_TRAINING, "Stop after so many updates.", metavar="COUNT"),
]
Patience = Annotated[
    int | None,
    _option(_TRAINING, "Stop after so many validations without a better one.", metavar="COUNT"),
]
BatchTokens = Annotated[
    int | None,
    _option(
        _TRAINING,
        "Tokens of an update, of all processes together; by default 4,096, fewer of little data.",
        metavar="COUNT",
    ),
]
MicroTokens = Annotated[
    int | None,
    _option(_TRAINING, "The most tokens computed at a time, which bounds memory.", metavar="COUNT"),
]
LearningRate = Annotated[
    float | None,
    _option(
        _TRAINING,
        "Peak learning rate (default 1e-3 for a new model, 5e-5 when fine-tuning).",
        metavar="NUMBER",
    ),
]
Seed = Annotated[
    int | None,
    _option(_TRAINING, "Of all chance: split, weights, order, masks, dropout.", metavar="NUMBER"),
]
ValidateEvery = Annotated[
    int | None,
    _option(_TRAINING, "By default each epoch, or each tenth of the run.", metavar="STEPS"),
]
CheckpointEvery = Annotated[
    int | None,
    _option(
        _TRAINING,
        "Save all that is needed to go on; by default with each validation.",
        metavar="STEPS",
    ),
]
Device = Annotated[
    str | None,
    _option(_TRAINING, "cpu, cuda or cuda:1; by default a GPU where there is one.", metavar="NAME"),
]
PrecisionOption = Annotated[
    TrainingPrecision | None,
    _option(_TRAINING, "bf16 on a GPU that has it; by default there.", "--precision"),
]
Threads = Annotated[
    int | None,
    _option(_TRAINING, "CPU threads.", metavar="COUNT", minimum=1),
]
ShardingOption = Annotated[
    Sharding | None,
    _option(
        _TRAINING,
        "Under torchrun: all weights on each process, or a share of them (FSDP).",
        "--sharding",
    ),
]
TensorBoard = Annotated[
    bool | None,
    _option(_TRAINING, "Write files for TensorBoard too.", "--tensorboard"),
]
