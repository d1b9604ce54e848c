"""`bothways inspect`: print what a model is and what it costs, without running it."""

import json
from typing import TYPE_CHECKING, Any

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.command import command
from bothways.io.printable import printable
from bothways.io.sizes import format_bytes
from bothways.model.baselines.any_encoder import name_of
from bothways.model.costs import operations, parameters_by_part
from bothways.model.heads import Head
from bothways.model.read_options import ReadOptions

if TYPE_CHECKING:
    from bothways.checkpoints import ModelBundle
    from bothways.sequences import SequenceReader

__all__ = ["COMMAND", "describe", "inspect"]

_LENGTHS = (32, 128, 512, 2048, 8192)
_MAX_LABELS = 20
_DIRECTIONS = {
    "both": "in both directions",
    "causal": "causal: a position sees only itself and those before it",
}


def inspect(
    model: o.ModelArgument,
    options: ReadOptions,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Print what a model is and what it costs.

    Prints family, input, pooling, prompts, heads, parameters by part, bytes, operations and config.
    Operations are multiply-adds per token; L is the length of its sequence in tokens.

    \b
        bothways inspect minilm
        bothways inspect ./my-model --json
    """
    from bothways import checkpoints

    path = models.fetch(model, quiet=quiet)
    bundle = checkpoints.read_folder(path, **options.reading)
    reader = checkpoints.open_reader(bundle)
    facts = describe(bundle, reader, checkpoints.fingerprint(path, options.adapter, options.route))
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        print(_page(facts))


def describe(
    bundle: "ModelBundle", reader: "SequenceReader | None", fingerprint: str
) -> dict[str, Any]:
    """Describe a model in JSON values."""
    from bothways.checkpoints import expected_texts
    from bothways.checkpoints.unread_fields import UnreadFields

    spec, config = bundle.spec, bundle.config
    parameters = parameters_by_part(config)
    total = sum(parameters.values())
    cost = operations(config)
    lengths = [n for n in _LENGTHS if n < spec.max_length] + [spec.max_length]
    return {
        "path": str(bundle.path),
        "family": bundle.family,
        "routes": [] if bundle.routes is None else list(bundle.routes.names),
        "route": bundle.route,
        "encoder": name_of(config),
        "fingerprint": fingerprint,
        "max_length": spec.max_length,
        "input": "ids or vectors" if reader is None else reader.kind,
        "reader": None if reader is None else type(reader).__name__,
        "expected_texts": expected_texts(bundle),
        "pooling": list(spec.pooling.modes),
        "layer_weights": None if spec.layer_weights is None else list(spec.layer_weights),
        "after_pooling": [module.kind for module in spec.modules],
        "prompts": dict(spec.prompts),
        "default_prompt": spec.default_prompt,
        "similarity": spec.similarity,
        "terms": None if spec.terms is None else spec.terms.to_dict(),
        "parameters": {**parameters, "total": total},
        "heads": {name: int(weight.size) for name, weight in bundle.head_weights.items()},
        "predicts": [_describe_head(head) for head in spec.heads],
        "unread_heads": bundle.unread_heads,
        "unread_fields": UnreadFields.of(bundle.source_settings).names(),
        "bytes": {"fp32": 4 * total},
        "operations_per_token": {
            "formula": cost.formula(),
            "at_length": {str(length): cost.at(length) for length in lengths},
        },
        "config": config.to_dict(),
    }


def _describe_head(head: Head) -> dict[str, Any]:
    facts = {"task": head.task, "pooling": head.pooling, "labels": list(head.labels)}
    return facts | ({"pools_outputs": True} if head.pools_outputs else {})


def _page(facts: dict[str, Any]) -> str:
    config, parameters, cost = facts["config"], facts["parameters"], facts["operations_per_token"]
    after = "".join(f", then {module}" for module in facts["after_pooling"])
    prompts = ", ".join(f"{name}: {text!r}" for name, text in facts["prompts"].items())
    rows = [
        ("folder", facts["path"]),
        ("family", facts["family"]),
        *([("routes", _routes(facts))] if facts["routes"] else []),
        ("encoder", facts["encoder"]),
        ("fingerprint", facts["fingerprint"]),
        ("input", facts["input"] + (f" ({facts['reader']})" if facts["reader"] else "")),
        *([("expects", facts["expected_texts"])] if facts["expected_texts"] else []),
        ("max length", f"{facts['max_length']:,} positions"),
        *(
            ("attention", _DIRECTIONS[value])
            for name, value in config.items()
            if name == "attention_direction" and config["num_layers"]
        ),
        *([("layers", _layers(facts["layer_weights"]))] if facts["layer_weights"] else []),
        ("pooling", " + ".join(facts["pooling"]) + after),
        *([("terms", _terms(facts["terms"]))] if facts["terms"] else []),
        ("prompts", prompts or "none"),
        ("similarity", facts["similarity"] or "not specified"),
        *(
            (name if name != "total" else "parameters", f"{count:,}")
            for name, count in parameters.items()
        ),
        ("bytes in fp32", f"{facts['bytes']['fp32']:,} ({format_bytes(facts['bytes']['fp32'])})"),
        (
            "heads",
            ", ".join(f"{name} ({size:,})" for name, size in facts["heads"].items()) or "none",
        ),
        ("predicts", "; ".join(_head(head) for head in facts["predicts"]) or "nothing"),
        *([("unread heads", facts["unread_heads"])] if facts["unread_heads"] else []),
        *(
            ("unread fields", f"{file}: {', '.join(names)}")
            for file, names in facts["unread_fields"].items()
        ),
        ("operations", f"{cost['formula']} per token"),
        *((f"  at L = {length}", f"{count:,}") for length, count in cost["at_length"].items()),
        *((f"{name}", _setting(value)) for name, value in config.items()),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {printable(str(value))}" for name, value in rows)


def _routes(facts: dict[str, Any]) -> str:
    """The routes of the folder: `query, document; this is document`."""
    return f"{', '.join(facts['routes'])}; this is {facts['route']} (--route)"


def _layers(weights: list[float]) -> str:
    """The layers whose mean is pooled: `mean of 4 to 12, by weights`."""
    used = [layer for layer, weight in enumerate(weights) if weight]
    return f"weighted mean of {used[0]} to {used[-1]} (0: the embeddings)"


def _terms(terms: dict[str, Any]) -> str:
    """How the model weighs terms: `max of log1p_relu of the logits, at most 200`."""
    most = "" if terms["max_terms"] is None else f", at most {terms['max_terms']:,}"
    if terms["source"] == "tokens":
        return f"a number for each token that a text has{most}"
    return f"{terms['pooling']} of {terms['activation']} of the logits{most}"


def _head(head: dict[str, Any]) -> str:
    """Describe a head in a line: `classes (mean pooling): red, green, blue`."""
    labels: list[str] = head["labels"]
    more = "" if len(labels) <= _MAX_LABELS else f" and {len(labels) - _MAX_LABELS} more"
    of_outputs = " of outputs" if head.get("pools_outputs") else ""
    pooling = f" ({head['pooling']} pooling{of_outputs})" if head["pooling"] else ""
    named = f": {', '.join(labels[:_MAX_LABELS])}{more}" if labels else ""
    return f"{head['task']}{pooling}{named}"


def _setting(value: Any) -> str:
    if isinstance(value, list):
        return " ".join("all" if item is None else str(item) for item in value) or "none"
    return "none" if value is None else str(value)


COMMAND = command(inspect)
