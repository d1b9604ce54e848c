"""Decoders that rerank: the score of a pair is the probability of "yes" as the next token.

Qwen3-Reranker (Zhang et al. 2025, "Qwen3 Embedding: advancing text embedding and reranking through
foundation models", section 2) reads a query and a document by a template, and scores them by the
logits of "yes" and "no" at the last position. The softmax over these two is the sigmoid of their
difference, so the score is one linear map of the last hidden state: the row of "yes" in the output
matrix minus that of "no". `Qwen3ForSequenceClassification` has that map as its only label.
"""

import dataclasses
import re
from pathlib import Path

import numpy as np

from bothways.checkpoints.key_table import UNREAD
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import has_file, read_optional_object, read_text
from bothways.model.heads import TIED_WEIGHT, Head, HeadLayer
from bothways.model.pair_template import PairTemplate
from bothways.model.weights import CheckedWeights

__all__ = ["TEMPLATE", "as_reranker", "is_reranker", "with_yes_or_no", "yes_and_no"]

TEMPLATE = PairTemplate(
    prefix=(
        "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query "
        'and the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
        "<|im_start|>user\n"
    ),
    suffix="<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    instruction="Given a web search query, retrieve relevant passages that answer the query",
)
"""The template of the model card of Qwen3-Reranker."""

_MAX_LENGTH = 8192
"""The longest pair, in tokens, in the code of the model card."""

_NAME = re.compile(r"qwen3-reranker", re.IGNORECASE)
_OF_TEMPLATE = ("Judge whether the Document meets the requirements", "<Instruct>", "</think>")
_OUTPUT = UNREAD + "lm_head.weight"
_SCORE = "heads.classifier"


def is_reranker(folder: Path) -> bool:
    """Whether a folder of Qwen3 is a Qwen3-Reranker, by its template of chats or its name.

    The name is that in config.json, or part of the path, as in the cache of the hub.
    """
    if all(mark in _chat_template(folder) for mark in _OF_TEMPLATE):
        return True
    recorded = read_optional_object(folder / "config.json").get("_name_or_path")
    names = (recorded if isinstance(recorded, str) else "", str(folder.resolve()))
    return any(_NAME.search(name) for name in names)


def as_reranker(model: ModelBundle) -> ModelBundle:
    """The model with the score and the template of Qwen3-Reranker, if its folder is one.

    Raises:
        CheckpointError: if its tokenizer has no tokens "yes" and "no".
    """
    if model.family != "qwen3" or model.spec.modules or not is_reranker(model.reader_path):
        return model
    named = model.source_settings.get("architectures")
    if named == ["Qwen3ForCausalLM"]:
        return with_yes_or_no(model, *yes_and_no(model.reader_path))
    heads = tuple(
        dataclasses.replace(head, task="multilabel")
        if head.task == "values" and head.num_outputs == 1
        else head
        for head in model.spec.heads
    )
    scores = any(head.pooling is not None and head.num_outputs == 1 for head in heads)
    return _with_template(model, heads) if scores else model


def yes_and_no(folder: Path) -> tuple[int, int]:
    """The ids of the tokens "yes" and "no".

    Raises:
        CheckpointError: if the tokenizer is missing, or has no such tokens.
    """
    from tokenizers import Tokenizer

    from bothways.checkpoints.tokenizers.files import open_tokenizer

    tokenizer = open_tokenizer(folder)
    if isinstance(tokenizer, Tokenizer):
        yes, no = tokenizer.token_to_id("yes"), tokenizer.token_to_id("no")
        if yes is not None and no is not None:
            return yes, no
    raise CheckpointError(
        f"{folder}: a reranker that answers yes or no, and its tokenizer has no such tokens"
    )


def with_yes_or_no(model: ModelBundle, yes: int, no: int | None) -> ModelBundle:
    """A decoder with a head whose output is the logit of `yes` minus that of `no`.

    no: None for the logit of `yes` alone, which is no probability.

    Raises:
        CheckpointError: if an id is outside of the vocabulary.
        UnsupportedModel: if the output matrix is missing, and the embeddings are not tied to it.
    """
    others = dict(model.head_weights)
    output = others.pop(_OUTPUT, None)
    if output is None:
        if model.source_settings.get("tie_word_embeddings") is not True:
            raise UnsupportedModel(
                f"{model.path}: no weight lm_head.weight, and tie_word_embeddings is not true"
            )
        output = model.weights[TIED_WEIGHT]
    if max(yes, no or 0) >= len(output):
        raise CheckpointError(f"{model.path}: token {max(yes, no or 0)} of {len(output)} tokens")
    weight = output[yes].astype(np.float32)
    if no is not None:
        weight = weight - output[no].astype(np.float32)
    layer = HeadLayer(name=_SCORE, outputs=1, bias=False)
    head = Head(
        task="values" if no is None else "multilabel",
        layers=(layer,),
        pooling="last",
        labels=("yes",),
    )
    arrays = others | {f"{_SCORE}.weight": weight[None]}
    layout = {name: array.shape for name, array in arrays.items()}
    model = dataclasses.replace(
        model,
        head_weights=CheckedWeights(layout, arrays, str(model.path)),
        unread_heads=model.unread_heads if others else "",
        stored={name: at for name, at in model.stored.items() if name != _OUTPUT},
    )
    return _with_template(model, (head,))


def _with_template(model: ModelBundle, heads: tuple[Head, ...]) -> ModelBundle:
    return model.with_spec(
        heads=heads, pair_template=TEMPLATE, max_length=min(model.spec.max_length, _MAX_LENGTH)
    )


def _chat_template(folder: Path) -> str:
    """The template of chats beside a tokenizer; "" if there is none."""
    file = folder / "chat_template.jinja"
    if has_file(file):
        return read_text(file)
    template = read_optional_object(folder / "tokenizer_config.json").get("chat_template")
    return template if isinstance(template, str) else ""
