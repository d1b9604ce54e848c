"""The table of much-used encoders in docs/models.md: which of them load, and why others do not.

    python -m scripts.encoder_table        write the table into docs/models.md

`encoder_table.json` has the fields of published config.json files, by name, and for each model: the
estimate of its monthly downloads in millions, the config, fields that differ, and what else its
folder has. For each row the script writes a small folder with these fields, at small sizes and with
random weights, loads it, and encodes a text (or ids, where the folder has no tokenizer). A row of
several models stands for the first. `tests/checkpoints/test_encoder_table.py` compares the page.
"""

import json
import re
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import bothways
from bothways import checkpoints
from bothways.checkpoints.families import family_of
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import HeadArchitecture
from bothways.checkpoints.key_table import UNREAD
from bothways.checkpoints.weight_files import write_safetensors
from bothways.errors import BothwaysError, CheckpointError
from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize

__all__ = ["PAGE", "Row", "outcome", "page_with", "rows", "table"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/models.md"
_DATA = Path(__file__).with_suffix(".json")
_PIECES = ROOT / "tests/checkpoints/tokenizers/data"
_BEGIN, _END = "<!-- encoder table -->", "<!-- end of the encoder table -->"

_SIZES = {
    **dict.fromkeys(("hidden_size", "d_model", "dim", "n_embd"), 24),
    **dict.fromkeys(("intermediate_size", "hidden_dim", "d_ff", "n_inner"), 32),
    **dict.fromkeys(("num_attention_heads", "n_heads", "num_heads", "n_head"), 3),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "num_layers", "n_layer"), 2),
    "embedding_size": 12,
    "vocab_size": 600,
    "head_dim": 8,
    "dim_head": 8,
    "d_kv": 8,
    "query_pre_attn_scalar": 8,
    "num_key_value_heads": 3,
    "mask_token_id": 4,
    "pooler_hidden_size": 24,
}
"""Small values of the fields that are sizes."""

_TOKENS = ("<pad>", "<s>", "</s>", "<unk>", "<mask>", "the", "river", "bank")
_PIECE_FILES = {
    "xlm-roberta pieces": ("unigram", "sentencepiece.bpe.model"),
    "camembert pieces": ("unigram", "sentencepiece.bpe.model"),
    "albert pieces": ("albert", "spiece.model"),
    "t5 pieces": ("t5", "spiece.model"),
    "deberta pieces": ("deberta", "spm.model"),
}
_MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    "Pooling": ("sentence_transformers.models.Pooling", {"pooling_mode_mean_tokens": True}),
    "LastPooling": ("sentence_transformers.models.Pooling", {"pooling_mode_lasttoken": True}),
    "Dense": (
        "sentence_transformers.models.Dense",
        {
            "in_features": 24,
            "out_features": 16,
            "bias": True,
            "activation_function": "torch.nn.modules.activation.Tanh",
        },
    ),
    "Normalize": ("sentence_transformers.models.Normalize", {}),
    "StaticEmbedding": ("sentence_transformers.models.StaticEmbedding", {}),
    "Router": ("sentence_transformers.models.Router", {}),  # of queries by weights of tokens
    "PyLateDense": (
        "pylate.models.Dense.Dense",
        {
            "in_features": 24,
            "out_features": 16,
            "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity",
        },
    ),
}

Status = Literal["loads", "loads with a note", "refused"]


class Row(NamedTuple):
    """A row of the table's data.

    downloads: in millions a month, estimated. config: the name of published fields. changes: fields
    that differ. files: `tokenizer`, `tokenizer_class`, `tokenizer_settings`, `modules`, `weights`
    and `adapters` of the folder; the first adapter is used.
    """

    models: str
    downloads: float
    config: Mapping[str, Any]
    changes: Mapping[str, Any]
    files: Mapping[str, Any]


def rows() -> list[Row]:
    """The rows, the most downloaded first."""
    data = json.loads(_DATA.read_text(encoding="utf-8"))
    return [
        Row(models, downloads, data["configs"][config], changes, files)
        for models, downloads, config, changes, files in data["models"]
    ]


def outcome(row: Row, folder: Path) -> tuple[Status, str]:
    """Write the folder of a row, load it and encode; what became of it, and the note or reason."""
    _write_folder(row, folder)
    adapter = next(iter(row.files.get("adapters", ())), None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            encoder = bothways.load(folder, backend="native", threads=1, adapter=adapter)
            unread = checkpoints.read_folder(folder, adapter=adapter).unread_heads
            if encoder.spec.late_interaction:
                encoder.multi_vector([_sequence(row, encoder)], role="document")
            elif encoder.spec.terms:
                for role in ("query", "document"):
                    encoder.sparse([_sequence(row, encoder)], role=role)
            else:
                encoder.encode([_sequence(row, encoder)])
        except BothwaysError as error:
            return "refused", _brief(str(error), folder)
    notes = list(dict.fromkeys(_brief(str(each.message), folder) for each in caught))
    if adapter is not None:
        notes.append(f"with adapter={adapter!r}, or that of another task")
    if encoder.reader is None:
        notes.append("token ids only: its tokenizer is not implemented")
    if unread:
        names = re.search(r"the weights? (.*) belongs? to no head", unread)
        notes.append(f"kept, and not computed: {names[1] if names else _brief(unread, folder)}")
    return ("loads with a note", "; ".join(notes)) if notes else ("loads", "")


def _sequence(row: Row, encoder: bothways.Encoder) -> Any:
    if encoder.reader is None:
        return np.array([5, 6])
    return "MKTV" if row.files.get("tokenizer") == "symbols" else "the river"


def table(results: Sequence[tuple[Row, Status, str]]) -> str:
    """The counts, and the table in Markdown."""
    total = sum(row.downloads for row, _, _ in results)
    loaded = [row for row, status, _ in results if status != "refused"]
    counts = Counter(status for _, status, _ in results)
    share, weight = len(loaded) / len(results), sum(r.downloads for r in loaded) / total
    lines = [
        f"Of {len(results)} much-used encoders, {counts['loads']} load, "
        f"{counts['loads with a note']} load with a note and {counts['refused']} are refused: "
        f"{share:.0%} load by count, and {weight:.1%} by downloads.",
        "",
        "| model | downloads, M a month (estimate) | | note or reason |",
        "|---|---:|---|---|",
    ]
    for row, status, reason in results:
        escaped = reason.replace("|", "\\|")
        lines.append(
            f"| {row.models.replace('*', '&#42;')} | {row.downloads:g} | {status} | {escaped} |"
        )
    return "\n".join(lines) + "\n"


def page_with(text: str, page: str) -> str:
    """The page with this text between the marks of the table."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n\n{text}\n{_END}{after}"


def _write_folder(row: Row, folder: Path) -> None:
    folder.mkdir()
    config = _small({**row.config, **row.changes})
    if config:
        (folder / "config.json").write_text(json.dumps(config))
    family = family_of(config)
    if family is not None:
        try:
            encoder, _ = family.read_config(config, "config.json")
        except CheckpointError:
            arrays = {}  # loading says why
        else:
            arrays = _arrays(family, encoder, config, _more(row, encoder))
        write_safetensors(folder / "model.safetensors", arrays)
    _write_adapters(row, folder)
    _write_tokenizer(row, folder)
    _write_modules(row.files.get("modules", ()), folder)


def _small(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config at small sizes, with as many attention heads for keys and values as it has."""
    small = {name: _SIZES.get(name, value) for name, value in config.items()}
    if "num_key_value_heads" in config and config["num_key_value_heads"] != config.get(
        "num_attention_heads"
    ):
        small["num_key_value_heads"] = 1
    for name in ("layer_types", "attention_window"):
        if name in config:
            small[name] = config[name][-2:]
    for name in ("max_position_embeddings", "n_positions"):
        # Block-sparse attention begins at a length beyond which positions are needed.
        if isinstance(config.get(name), int) and "block_size" not in config:
            small[name] = min(config[name], 130)
    if small.get("head_dim") is None:
        small.pop("head_dim", None)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        if isinstance(config.get(name), int):
            small[name] = min(config[name], 2)
    return small


def _arrays(
    family: Family,
    encoder: EncoderConfig,
    config: Mapping[str, Any],
    more: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Random weights of the encoder and of the head that the config's class has, and `more`."""
    ours = initialize(encoder)
    named = [name for name in config.get("architectures") or [] if isinstance(name, str)]
    for architecture in family.heads:
        if any(name.endswith(architecture.classes) for name in named):
            ours |= _head_arrays(architecture, encoder, config)
            break
    # Heads of other projects stand beside the encoder, whose names then have a prefix.
    beside = {name: more[name] for name in more if not name.startswith("embeddings.")}
    ours |= {UNREAD + name: array for name, array in beside.items()}
    for table in family.tables:
        try:
            theirs = table.write(ours, family.buffers(encoder))
        except (CheckpointError, KeyError):
            continue
        theirs = family.unfold(encoder, theirs)
        return {**theirs, **{name: more[name] for name in more if name not in beside}}
    raise CheckpointError(f"{family.model_type}: no table names all weights")


def _head_arrays(
    architecture: HeadArchitecture, encoder: EncoderConfig, config: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    outputs = {"vocabulary": encoder.vocab_size, "answer": 2}.get(
        architecture.outputs, len(config.get("id2label", "ab"))
    )
    arrays: dict[str, np.ndarray] = {}
    width = encoder.d_model
    for layer in architecture.layers(encoder, config, outputs):
        if not layer.tied or config.get("tie_word_embeddings") is False:
            arrays[f"{layer.name}.weight"] = np.zeros((layer.outputs, width), np.float32)
        if layer.bias:
            arrays[f"{layer.name}.bias"] = np.zeros(layer.outputs, np.float32)
        if layer.norm is not None:
            arrays[f"{layer.norm}.weight"] = np.ones(layer.outputs, np.float32)
            if layer.norm_bias:
                arrays[f"{layer.norm}.bias"] = np.zeros(layer.outputs, np.float32)
        width = layer.outputs
    return arrays


def _more(row: Row, encoder: EncoderConfig) -> dict[str, np.ndarray]:
    """Weights that the published file has besides, by their shapes."""
    return {
        name: np.ones([encoder.d_model if n == "hidden" else n for n in shape], np.float32)
        for name, shape in row.files.get("weights", {}).items()
    }


def _write_adapters(row: Row, folder: Path) -> None:
    """An adapter for each task, which changes one weight."""
    for task in row.files.get("adapters", ()):
        place = folder / "adapters" / task
        place.mkdir(parents=True)
        (place / "adapter_config.json").write_text(
            json.dumps({"peft_type": "LORA", "r": 1, "lora_alpha": 1, "bias": "none"})
        )
        name = "base_model.model.layers.0.mlp.up_proj"
        pair = {"A": (1, 24), "B": (32, 1)}
        arrays = {f"{name}.lora_{x}.weight": np.ones(s, np.float32) for x, s in pair.items()}
        write_safetensors(place / "adapter_model.safetensors", arrays)


def _write_tokenizer(row: Row, folder: Path) -> None:
    kind = row.files.get("tokenizer", "json")
    if "tokenizer_class" in row.files:
        settings = {"tokenizer_class": row.files["tokenizer_class"]}
        settings |= row.files.get("tokenizer_settings", {})
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    if kind in _PIECE_FILES:
        model, file = _PIECE_FILES[kind]
        shutil.copyfile(_PIECES / f"{model}.model", folder / file)
    elif kind == "json":
        vocabulary = {token: index for index, token in enumerate(_TOKENS)}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))  # noqa: S106
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 1))
        tokenizer.save(str(folder / "tokenizer.json"))
    elif kind == "symbols":
        symbols = ("<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO", "<mask>")
        (folder / "vocab.txt").write_text("\n".join(symbols))
    elif kind == "fastbpe":
        (folder / "vocab.txt").write_text("the 9\nriv@@ 5\ner 4\n")
        (folder / "bpe.codes").write_text("t h 9\nth e</w> 8\nr i 7\nri v 6\ne r</w> 5\n")
    else:
        (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nriver\n")


def _write_modules(names: Sequence[str], folder: Path) -> None:
    if not names:
        return
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    ]
    if "Router" in names:
        modules = [{"idx": 0, "name": "0", "path": "", "type": _MODULES["Router"][0]}]
        _write_router(folder)
        names = [name for name in names if name != "Router"]
    if "StaticEmbedding" in names:
        modules = [{"idx": 0, "name": "0", "path": "", "type": _MODULES["StaticEmbedding"][0]}]
        table = np.ones((len(_TOKENS), 24), np.float32)
        write_safetensors(folder / "model.safetensors", {"embedding.weight": table})
        names = [name for name in names if name != "StaticEmbedding"]
    for index, name in enumerate(names, len(modules)):
        kind, settings = _MODULES[name]
        path = f"{index}_{name}"
        (folder / path).mkdir()
        width = {"word_embedding_dimension": 24} if "Pooling" in name else {}
        if settings:
            (folder / path / "config.json").write_text(json.dumps({**settings, **width}))
        if "Dense" in name:
            shapes = {"linear.weight": (16, 24), "linear.bias": (16,)}
            if not settings["bias"]:
                del shapes["linear.bias"]
            arrays = {key: np.ones(shape, np.float32) for key, shape in shapes.items()}
            write_safetensors(folder / path / "model.safetensors", arrays)
        modules.append({"idx": index, "name": str(index), "path": path, "type": kind})
    if "PyLateDense" in names:
        (folder / "config_sentence_transformers.json").write_text('{"model_type": "ColBERT"}')
    (folder / "modules.json").write_text(json.dumps(modules))


def _write_router(folder: Path) -> None:
    """Routes to the Transformer of the folder, and to a table of weights of tokens."""
    home = "sentence_transformers.sparse_encoder.models"
    query, pooling = folder / "query_0_SparseStaticEmbedding", folder / "document_1_SpladePooling"
    router = {
        "types": {
            query.name: f"{home}.SparseStaticEmbedding",
            "": f"{home}.MLMTransformer",
            pooling.name: f"{home}.SpladePooling",
        },
        "structure": {"query": [query.name], "document": ["", pooling.name]},
        "parameters": {"default_route": "document", "allow_empty_key": True},
    }
    (folder / "router_config.json").write_text(json.dumps(router))
    query.mkdir()
    (query / "config.json").write_text('{"frozen": true}')
    shutil.copyfile(folder / "tokenizer.json", query / "tokenizer.json")
    write_safetensors(query / "model.safetensors", {"weight": np.ones(len(_TOKENS), np.float32)})
    pooling.mkdir()
    (pooling / "config.json").write_text('{"activation_function": "log1p_relu"}')
    about = {"model_type": "SparseEncoder", "similarity_fn_name": "dot"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(about))


def _brief(message: str, folder: Path) -> str:
    """A message without the path of the folder, up to its first advice."""
    message = message.replace(f"{folder}/", "").replace(f"{folder}: ", "").replace("\n", " ")
    message = re.split(r"[:;] (?:bothways (?:knows|has)|looked for) ", message)[0]
    message = message.removeprefix(
        "fields that no implementation of this model reads are "
    ).replace("ignored, and kept for export: ", "fields that nothing reads: ")
    return message if len(message) <= 160 else message[:157] + "..."


def main() -> None:
    """Write the table into the page, and print its counts."""
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for index, row in enumerate(rows()):
            results.append((row, *outcome(row, Path(scratch) / str(index))))
    text = table(results)
    PAGE.write_text(page_with(text, PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(text.partition("\n")[0])


if __name__ == "__main__":
    main()
