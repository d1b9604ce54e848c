"""The heads of a family, as data: how each class of transformers computes its outputs.

`read_heads` builds a `Head` from a file and its config; `head_export` does the reverse. A head of a
class that is not listed, or that the file does not name, stays unread: bothways keeps its weights
and does not guess what they compute.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from bothways.checkpoints.key_table import UNREAD
from bothways.errors import CheckpointError, ConfigError
from bothways.io.json_files import brief
from bothways.model.config import EncoderConfig, EncoderShape, HeadPooling
from bothways.model.heads import Head, HeadActivation, HeadLayer, HeadTask, check_head, head_layout

__all__ = [
    "DECODER",
    "GLOBAL_ATTENTION",
    "POOLER",
    "PROBLEMS",
    "HeadArchitecture",
    "Settings",
    "answer_spans",
    "class_named",
    "classifier",
    "labels_in",
    "masked_tokens",
    "read_heads",
    "task_in",
    "unused_weights",
]

Settings = Mapping[str, Any]

DECODER = "heads.masked_tokens"
"""The layer that computes the logits of masked tokens; if it is tied, only its bias is stored."""

POOLER = "heads.pooler"
"""A dense layer that published encoders include, whether or not a head uses it."""

GLOBAL_ATTENTION = "heads.global_attention"
"""Maps of positions that attend globally, which only some heads of an encoder have."""

_NO_HEADS = (f"{POOLER}.", f"{GLOBAL_ATTENTION}.")

PROBLEMS: dict[str, HeadTask] = {
    "single_label_classification": "classes",
    "multi_label_classification": "multilabel",
    "regression": "values",
}


def _first_position(settings: Settings) -> HeadPooling:
    return "cls"


def _never(settings: Settings) -> bool:
    return False


def _no_settings(head: Head) -> dict[str, Any]:
    return {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadArchitecture:
    """The head of one class of a family.

    classes: suffixes of the class names, such as `ForMaskedLM`; an export writes the first.
    outputs: logits of the vocabulary at each position, labels of a sequence or of each position, or
        the logits of an answer's start and end at each position.
    layers(config, settings, outputs): its layers; the last has `outputs` outputs.
    pooling(settings): how positions become one vector, for outputs of a sequence.
    pools_outputs(settings): whether outputs of all positions are pooled, and not the positions.
    settings(head): fields of the config.json that this head needs.
    refused: why bothways does not compute this head; "" if it does.
    """

    classes: tuple[str, ...]
    outputs: Literal["vocabulary", "sequence", "positions", "answer"]
    layers: Callable[[EncoderConfig, Settings, int], tuple[HeadLayer, ...]]
    pooling: Callable[[Settings], HeadPooling] = _first_position
    pools_outputs: Callable[[Settings], bool] = _never
    settings: Callable[[Head], dict[str, Any]] = _no_settings
    refused: str = ""


def masked_tokens(activation: HeadActivation | None = None, *classes: str) -> HeadArchitecture:
    """dense, activation, norm, then the embeddings as decoder (Devlin et al. 2019, released code).

    activation: None for the encoder's. classes: suffixes of its classes besides `ForMaskedLM`.
    """

    def layers(config: EncoderConfig, settings: Settings, outputs: int) -> tuple[HeadLayer, ...]:
        dense = HeadLayer(
            name=f"{DECODER}.dense",
            outputs=config.embedding_width,
            activation=activation or config.activation,
            norm=f"{DECODER}.norm",
            norm_eps=config.norm_eps,
        )
        return dense, HeadLayer(name=DECODER, outputs=outputs, tied=True)

    return HeadArchitecture(classes=("ForMaskedLM", *classes), outputs="vocabulary", layers=layers)


def classifier(
    dense: str, activation: HeadActivation, output: str = "heads.classifier"
) -> tuple[HeadArchitecture, HeadArchitecture]:
    """Heads for labels of a sequence (first position, dense layer, output) and of each position.

    dense, output: names of the two layers of the sequence head, in bothways.
    """

    def of_sequence(
        config: EncoderConfig, settings: Settings, outputs: int
    ) -> tuple[HeadLayer, ...]:
        first = HeadLayer(name=dense, outputs=config.d_model, activation=activation)
        return first, HeadLayer(name=output, outputs=outputs)

    def of_positions(
        config: EncoderConfig, settings: Settings, outputs: int
    ) -> tuple[HeadLayer, ...]:
        return (HeadLayer(name="heads.classifier", outputs=outputs),)

    return (
        HeadArchitecture(
            classes=("ForSequenceClassification",), outputs="sequence", layers=of_sequence
        ),
        HeadArchitecture(
            classes=("ForTokenClassification",), outputs="positions", layers=of_positions
        ),
    )


def answer_spans(
    layers: Callable[[EncoderConfig, Settings, int], tuple[HeadLayer, ...]] | None = None,
    settings: Callable[[Head], dict[str, Any]] = _no_settings,
) -> HeadArchitecture:
    """Logits of the start and end of an answer (Devlin et al. 2019, section 4.2): one linear layer.

    layers, settings: where a family has others.
    """

    def linear(config: EncoderConfig, settings: Settings, outputs: int) -> tuple[HeadLayer, ...]:
        return (HeadLayer(name="heads.answer_span", outputs=outputs),)

    return HeadArchitecture(
        classes=("ForQuestionAnswering",),
        outputs="answer",
        layers=layers or linear,
        settings=settings,
    )


def read_heads(
    architectures: Sequence[HeadArchitecture],
    stem: str,
    config: EncoderConfig,
    settings: Settings,
    arrays: Mapping[str, np.ndarray],
) -> tuple[tuple[Head, ...], str]:
    """The heads in a file, and why the other head weights belong to none; "" if all are used.

    stem: prefix of the family's class names. settings: the kept fields of the config.json.
    """
    heads: list[Head] = []
    problems: list[str] = []
    for architecture in architectures:
        named = class_named(architecture, stem, settings)
        if architecture.refused:
            problems += [f"{named}: {architecture.refused}"] if named else []
            continue
        # The weights of a masked-token head have names that no other head has.
        if named or (architecture.outputs == "vocabulary" and f"{DECODER}.dense.weight" in arrays):
            try:
                heads.append(_read(architecture, config, settings, arrays))
            except (CheckpointError, ConfigError) as problem:
                problems.append(str(problem))
    unused = unused_weights(heads, config, arrays)
    if unused and not problems:
        classes = ", ".join(stem + a.classes[0] for a in architectures if not a.refused)
        problems.append(
            f"architectures={brief(settings.get('architectures'))}: {_listed(unused)} to no "
            f"head that bothways runs, which are those of {classes}"
        )
    return tuple(heads), "; ".join(problems)


def _listed(names: Sequence[str], limit: int = 5) -> str:
    """Weights and a verb: `the weight 'a' belongs`; those of unknown heads as in the file."""
    shown = ", ".join(brief(name.removeprefix(UNREAD)) for name in names[:limit])
    if len(names) == 1:
        return f"the weight {shown} belongs"
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"the weights {shown}{more} belong"


def unused_weights(heads: Sequence[Head], config: EncoderShape, arrays: Iterable[str]) -> list[str]:
    """The sorted names of weights that belong to no head, except those that need none."""
    used = {name for head in heads for name in head_layout(head, config)}
    return sorted(n for n in arrays if n not in used and not n.startswith(_NO_HEADS))


def class_named(architecture: HeadArchitecture, stem: str, settings: Settings) -> str | None:
    """The class with this head that a config.json names; None if it names none."""
    named = settings.get("architectures")
    for name in named if isinstance(named, list) else ():
        if name in [stem + ending for ending in architecture.classes]:
            return str(name)
    return None


def _read(
    architecture: HeadArchitecture,
    config: EncoderConfig,
    settings: Settings,
    arrays: Mapping[str, np.ndarray],
) -> Head:
    """The head with this architecture.

    Raises:
        CheckpointError, ConfigError: if the file does not have it; the message says why.
    """
    if architecture.outputs == "vocabulary":
        *others, last = architecture.layers(config, settings, config.vocab_size)
        last = dataclasses.replace(last, tied=settings.get("tie_word_embeddings") is not False)
        head = Head(task="masked_tokens", layers=(*others, last))
        if f"{DECODER}.decoder.bias" in arrays:
            raise CheckpointError("the masked-token head has two biases, and they differ")
    elif architecture.outputs == "answer":
        head = Head(task="answer_spans", layers=architecture.layers(config, settings, 2))
    else:
        name = architecture.layers(config, settings, 1)[-1].name
        weight = arrays.get(f"{name}.weight")
        if weight is None or weight.ndim != 2 or not weight.size:
            raise CheckpointError(f"the file has no matrix {name}.weight")
        task = task_in(settings, len(weight)) if architecture.outputs == "sequence" else "tags"
        head = Head(
            task=task,
            layers=architecture.layers(config, settings, len(weight)),
            pooling=architecture.pooling(settings) if architecture.outputs == "sequence" else None,
            labels=labels_in(settings, len(weight)),
            dropout=_dropout(settings, config),
            pools_outputs=architecture.outputs == "sequence"
            and architecture.pools_outputs(settings),
        )
    check_head(head, config, arrays, "the file")
    return head


def task_in(settings: Settings, outputs: int) -> HeadTask:
    """The task of a sequence head; if the file does not say, decided as transformers decides.

    For several labels that is its text-classification pipeline; for one, the loss of its classes.
    """
    problem = settings.get("problem_type")
    if problem is None:
        return "values" if outputs == 1 else "classes"
    task = PROBLEMS.get(problem) if isinstance(problem, str) else None
    if task is None or (task == "classes" and outputs == 1):
        raise CheckpointError(f"problem_type={brief(problem)} with {outputs} labels")
    return task


def labels_in(settings: Settings, outputs: int) -> tuple[str, ...]:
    """The names of the outputs; transformers' default names if the file has none.

    Default names of another number of outputs than `num_labels` say nothing, and count as none.
    """
    named = settings.get("id2label")
    if named is None:
        return tuple(f"LABEL_{index}" for index in range(outputs))
    labels = named if isinstance(named, dict) else {}
    are_default = all(label == f"LABEL_{index}" for index, label in labels.items())
    if labels and are_default and settings.get("num_labels") == outputs:
        return tuple(f"LABEL_{index}" for index in range(outputs))
    if sorted(labels) != sorted(str(index) for index in range(outputs)):
        raise CheckpointError(
            f"id2label={brief(named)}: expected a label for each of {outputs} outputs, from '0' on"
        )
    return tuple(str(labels[str(index)]) for index in range(outputs))


def _dropout(settings: Settings, config: EncoderConfig) -> float:
    given = settings.get("classifier_dropout")
    return config.dropout if given is None else given
