"""Writing the graph of a model folder to a file."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.onnx.encoder import encode
from bothways.checkpoints.onnx.graph import Graph
from bothways.checkpoints.onnx.heads import head_outputs
from bothways.checkpoints.onnx.inputs import Inputs
from bothways.checkpoints.onnx.pooling import embedding
from bothways.model.heads import Head
from bothways.model.spec import ModelSpec

__all__ = ["ONNX_FILE", "write_onnx"]

ONNX_FILE = "model.onnx"
_DATA_FILE = "model.onnx_data"
"""The name that optimum and sentence-transformers ask for."""

_ANSWER_OUTPUTS = ("start_logits", "end_logits")
"""The outputs of a head for answers, under the names of transformers."""

_LARGEST_FILE = 1 << 30
"""Bytes of weights above which they get a separate file: a protobuf message ends at 2 GiB."""


def write_onnx(out: Path, model: ModelBundle, added_ids: Sequence[int] = ()) -> list[str]:
    """Write `model.onnx`, and return a sentence for each feature that the graph lacks.

    Inputs: `input_ids` (or `values`), `attention_mask`, and `token_type_ids` if the encoder has
    segments; padding is at the end. Outputs: `last_hidden_state`, `sentence_embedding`, and
    `logits` of one head or `{task}_logits` of several; of a head for answers `start_logits` and
    `end_logits`.

    added_ids: of the special tokens, which `mean_content` leaves out.

    Raises:
        MissingExtra: if onnx is not installed.
        UnsupportedModel: if the encoder is a baseline.
    """
    graph = Graph()
    spec, config = model.spec, model.transformer
    weights = {**model.weights, **model.head_weights}
    inputs = Inputs.of(graph, config, added_ids)
    x = encode(graph, inputs, weights, config)
    graph.output(x, "last_hidden_state", ("batch", "length", config.d_model))
    vector, width = embedding(graph, x, inputs, spec, model.module_weights)
    graph.output(vector, "sentence_embedding", ("batch", width))
    names = output_names(spec.heads)
    for head in spec.heads:
        logits = head_outputs(graph, x, inputs, weights, config, head)
        if head.task == "answer_spans":
            for column, name in enumerate(_ANSWER_OUTPUTS):
                place = graph.constant(column, np.int64)
                logit = graph.op("Gather", logits, place, attributes={"axis": 2})
                graph.output(logit, name, ("batch", "length"))
            continue
        positions = () if head.pooling is not None else ("length",)
        graph.output(logits, names[head.task], ("batch", *positions, head.num_outputs))
    _save(graph, out / ONNX_FILE, _metadata(spec), sum(a.nbytes for a in weights.values()))
    return _left_out(spec)


def output_names(heads: tuple[Head, ...]) -> dict[str, str]:
    """The name of each head's output, by its task; a head for answers has `_ANSWER_OUTPUTS`."""
    heads = tuple(head for head in heads if head.task != "answer_spans")
    if len(heads) == 1:
        return {heads[0].task: "logits"}
    return {head.task: f"{head.task}_logits" for head in heads}


def _save(graph: Graph, path: Path, metadata: dict[str, str], size: int) -> None:
    import onnx

    model = graph.to_model("bothways", metadata)
    onnx.save_model(
        model,
        path,
        save_as_external_data=size > _LARGEST_FILE,
        all_tensors_to_one_file=True,
        location=_DATA_FILE,
    )
    onnx.checker.check_model(path)


def _metadata(spec: ModelSpec) -> dict[str, str]:
    """Facts that a program needs to run the graph, as JSON values."""
    has_answers = any(head.task == "answer_spans" for head in spec.heads)
    answers = {"answer_spans": list(_ANSWER_OUTPUTS)} if has_answers else {}
    facts = {
        "max_length": spec.max_length,
        "pooling": list(spec.pooling.modes),
        "lowercase": spec.lowercase,
        "prompts": dict(spec.prompts),
        "default_prompt": spec.default_prompt,
        "outputs": output_names(spec.heads) | answers,
        "labels": {head.task: list(head.labels) for head in spec.heads if head.labels},
    }
    return {f"bothways.{name}": json.dumps(value) for name, value in facts.items()}


def _left_out(spec: ModelSpec) -> list[str]:
    if spec.prompts and not spec.pooling.include_prompt:
        return ["prompts are not left out of pooling in the graph; sentence_embedding has them too"]
    return []
