"""What is fuzzed: for each reader, a folder of valid files and the call that reads it."""

import bz2
import dataclasses
import gzip
import json
import lzma
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import bothways
from bothways import Alphabet, EncoderConfig, Series, checkpoints
from bothways.checkpoints import hub_conversion
from bothways.checkpoints.families import FAMILIES
from bothways.checkpoints.layer_weights import LAYER_WEIGHTS, write_layer_weights
from bothways.checkpoints.weight_files import write_safetensors
from bothways.errors import BothwaysError
from bothways.files import Origin, read_origin, read_rows
from bothways.files.vector_file import open_vector_file
from bothways.io.options import read_toml
from bothways.model.inputs import InputKind
from bothways.model.layout import initialize
from bothways.sequences import SeriesReader, SymbolReader
from bothways.training.plan import TABLES, TrainingPlan
from bothways.training.resolved_settings import ResolvedSettings, resolve_settings
from bothways.training.runs.checkpoint import Checkpoint, RunState
from bothways.training.runs.events import discard_events_after, read_events
from bothways.training.runs.folder import RunFolder
from bothways.training.settings import TrainingSettings

__all__ = ["TARGETS", "Target"]


class Target(NamedTuple):
    """A reader. make: write valid files into a folder. read: read them."""

    make: Callable[[Path], object]
    read: Callable[[Path], object]


TEXTS = ("ab c", "c", "ä ab\u2028c", "-", "a\tb", 'q"q')
VECTORS = np.eye(4, dtype=np.float32)
TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "ab", "c", "ä", "##c", "b")
CONFIG = EncoderConfig(
    num_layers=1, num_heads=2, d_model=8, d_ff=8, max_length=16, vocab_size=16, num_segments=2
)
ORIGIN = {field.name: "x" if field.type is str else 4 for field in dataclasses.fields(Origin)} | {
    "vectors_as": "f32"
}


def _write_npy(folder: Path) -> None:
    np.save(folder / "v.npy", VECTORS)
    (folder / "v.npy.json").write_text(json.dumps({**ORIGIN, "rows": 4}))


def _write_vector_lines(folder: Path) -> None:
    rows = [{"id": "a", "text": "t", "vector": row.tolist(), "origin": ORIGIN} for row in VECTORS]
    (folder / "v.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _write_vector_table(folder: Path) -> None:
    columns = {
        "id": pa.array("abcd"),
        "text": pa.array("abcd"),
        "vector": pa.array(VECTORS.tolist(), pa.list_(pa.float32(), 4)),
    }
    metadata = {f"bothways.{name}": str(value) for name, value in ORIGIN.items()}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), folder / "v.parquet")


def _read_vectors(name: str) -> Callable[[Path], object]:
    def read(folder: Path) -> None:
        path = str(folder / name)
        read_origin(path)
        with open_vector_file(path) as file:
            for batch in file.batches():
                if batch.dtype != np.float32:
                    raise TypeError(batch.dtype)
            file.ids_and_texts(np.arange(1))

    return read


def _data(name: str, content: bytes, kind: InputKind = "text", **options: Any) -> Target:
    read = _read_rows(name, kind, **options)
    return Target(lambda folder: (folder / name).write_bytes(content), read)


def _read_rows(name: str, kind: InputKind = "text", **options: Any) -> Callable[[Path], object]:
    def read(folder: Path) -> list[object]:
        return [row.value for row in read_rows([str(folder / name)], kind=kind, **options)]

    return read


def _write_table(folder: Path) -> None:
    pq.write_table(
        pa.table({"id": list(range(6)), "text": TEXTS, "n": [0.5] * 6}), folder / "d.parquet"
    )


def _write_feather(folder: Path) -> None:
    feather.write_feather(pa.table({"text": TEXTS, "n": [0.5] * 6}), folder / "d.feather")


def _write_arrays(folder: Path) -> None:
    np.save(folder / "d.npy", np.ones((2, 3, 2)))
    np.savez(folder / "d.npz", a=np.ones((3, 2)), b=np.ones((1, 2)))


def _tokenizer() -> Tokenizer:
    words = Tokenizer(
        models.WordPiece(dict(zip(TOKENS, range(12), strict=True)), unk_token=TOKENS[1])
    )
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    words.add_special_tokens(list(TOKENS[:5]))
    return words


def _write_bert(folder: Path) -> None:
    settings = FAMILIES["bert"].write_config(CONFIG, {})
    (folder / "config.json").write_text(json.dumps(settings))
    arrays = FAMILIES["bert"].tables[0].write(initialize(CONFIG), {})
    write_safetensors(folder / "model.safetensors", arrays)


def _write_bert_tokenizer(folder: Path) -> None:
    _write_bert(folder)
    _tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizerFast"}')


def _write_bert_vocabulary(folder: Path) -> None:
    _write_bert(folder)
    (folder / "vocab.txt").write_text("\n".join(TOKENS) + "\n")
    (folder / "added_tokens.json").write_text('{"<x>": 12, "y": 13}')
    (folder / "special_tokens_map.json").write_text('{"mask_token": "[MASK]"}')
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')


def _write_sentence_model(folder: Path) -> None:
    _write_bert_tokenizer(folder)
    kinds = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 8}')
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "a"}}')
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))


def _write_unknown_head(folder: Path) -> None:
    """A model with a head and with fields that nothing reads."""
    _write_bert_tokenizer(folder)
    settings = json.loads((folder / "config.json").read_text()) | {"emb_size": 8, "cell": {}}
    (folder / "config.json").write_text(json.dumps(settings))
    table = FAMILIES["bert"].tables[0]
    arrays = {f"bert.{name}": a for name, a in table.write(initialize(CONFIG), {}).items()}
    write_safetensors(folder / "model.safetensors", arrays | {"linear.weight": np.ones((4, 8))})


def _write_ernie(folder: Path) -> None:
    _write_bert_tokenizer(folder)
    settings = FAMILIES["ernie"].write_config(CONFIG, {}) | {"use_task_id": True}
    (folder / "config.json").write_text(json.dumps(settings))
    arrays = FAMILIES["ernie"].tables[0].write(initialize(CONFIG), {})
    tasks = {"embeddings.task_type_embeddings.weight": np.ones((3, 8))}
    write_safetensors(folder / "model.safetensors", arrays | tasks)


def _write_modules(folder: Path) -> None:
    """A model with modules after pooling."""
    _write_sentence_model(folder)
    modules = json.loads((folder / "modules.json").read_text())
    for kind, settings in (("Dropout", {"dropout": 0.1}), ("LayerNorm", {"dimension": 8})):
        path = f"{len(modules)}_{kind}"
        modules.append({"path": path, "type": f"sentence_transformers.models.{kind}"})
        (folder / path).mkdir()
        (folder / path / "config.json").write_text(json.dumps(settings))
    arrays = {f"norm.{name}": np.ones(8) for name in ("weight", "bias")}
    write_safetensors(folder / path / "model.safetensors", arrays)
    (folder / "modules.json").write_text(json.dumps(modules))


def _write_static_embedding(folder: Path) -> None:
    """A table of static embeddings, with the weights of model2vec."""
    tokenizer = _tokenizer()
    tokenizer.enable_truncation(8)
    tokenizer.save(str(folder / "tokenizer.json"))
    arrays: dict[str, np.ndarray] = {
        "embeddings": np.ones((4, 8), np.float32),
        "mapping": np.arange(len(TOKENS)) % 4,
        "weights": np.ones(len(TOKENS)),
    }
    save_file(arrays, folder / "model.safetensors")
    kinds = ("StaticEmbedding", "Normalize")
    modules = [{"path": "", "type": f"sentence_transformers.models.{kind}"} for kind in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))


def _write_routes(folder: Path) -> None:
    """A Router: documents by a Transformer, queries by a table, and terms by weights of tokens."""
    _write_sentence_model(folder)
    (folder / "query").mkdir()
    _write_static_embedding(folder / "query")
    (folder / "terms").mkdir()
    _tokenizer().save(str(folder / "terms" / "tokenizer.json"))
    (folder / "terms" / "config.json").write_text('{"path": "idf.json"}')
    (folder / "terms" / "idf.json").write_text('{"a": 1.5, "b": 2}')
    home = "sentence_transformers.models"
    router = {
        "types": {
            "": f"{home}.Transformer",
            "1_Pooling": f"{home}.Pooling",
            "query": f"{home}.StaticEmbedding",
            "terms": "sentence_transformers.sparse_encoder.models.SparseStaticEmbedding",
        },
        "structure": {"document": ["", "1_Pooling"], "query": ["query"], "terms": ["terms"]},
        "parameters": {"default_route": None, "route_mappings": {"('query', 'text')": "query"}},
    }
    (folder / "router_config.json").write_text(json.dumps(router))
    modules = [{"path": "", "type": f"{home}.Router"}]
    (folder / "modules.json").write_text(json.dumps(modules))


def _encode_routes(folder: Path) -> None:
    encoder = bothways.load(folder, backend="reference")
    for role in ("query", "document"):
        encoder.encode(["ab c"], role=role)
    bothways.load(folder, backend="reference", route="terms").sparse(["ab c"])


def _write_mixed_layers(folder: Path) -> None:
    """A mean of layers before pooling."""
    _write_sentence_model(folder)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"output_hidden_states": True}))
    write_layer_weights(folder, (0.5,) * (CONFIG.num_layers + 1), CONFIG.d_model)
    kinds = [("Transformer", ""), ("WeightedLayerPooling", LAYER_WEIGHTS), ("Pooling", "1_Pooling")]
    modules = [
        {"path": path, "type": f"sentence_transformers.models.{kind}"} for kind, path in kinds
    ]
    (folder / "modules.json").write_text(json.dumps(modules))


def _write_wrong_folders(folder: Path) -> None:
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "a"}')
    (folder / "decoder").mkdir()
    decoder = {"model_type": "x", "architectures": ["XForCausalLM"], "is_encoder_decoder": False}
    (folder / "decoder" / "config.json").write_text(json.dumps(decoder))
    (folder / "unnamed").mkdir()
    _write_unknown_head(folder / "unnamed")
    settings = json.loads((folder / "unnamed" / "config.json").read_text())
    del settings["model_type"]
    (folder / "unnamed" / "config.json").write_text(json.dumps(settings))


def _read_wrong_folders(folder: Path) -> None:
    for path in folder.iterdir():
        try:
            checkpoints.read_folder(path)
        except BothwaysError:
            continue


def _write_pickled_model(folder: Path) -> None:
    (folder / "snapshot").mkdir()
    _write_torch_weights(folder / "snapshot")
    modules = [{"path": "", "type": "sentence_transformers.models.Transformer"}]
    (folder / "snapshot" / "modules.json").write_text(json.dumps(modules))


def _convert(folder: Path) -> None:
    snapshot = folder / "snapshot"
    lacking = hub_conversion.folders_without_safetensors(snapshot)
    pickled = [path for path in lacking if hub_conversion.has_pickles(path)]
    hub_conversion.write_converted(snapshot, pickled, folder / "out")


def _write_roberta_vocabulary(folder: Path) -> None:
    config = dataclasses.replace(
        CONFIG, num_segments=1, position_padding_token=1, position_offset=2
    )
    settings = FAMILIES["roberta"].write_config(config, {})
    (folder / "config.json").write_text(json.dumps(settings))
    arrays = FAMILIES["roberta"].tables[0].write(initialize(config), {})
    write_safetensors(folder / "model.safetensors", arrays)
    tokens = ("<s>", "<pad>", "</s>", "<unk>", "<mask>", "a", "b", "ab", "\u0120")
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\na b\n")


def _write_fast_bpe(folder: Path) -> None:
    _write_roberta_vocabulary(folder)
    (folder / "vocab.json").unlink()
    (folder / "merges.txt").unlink()
    (folder / "vocab.txt").write_text("a 3\nab 2\na@@ 1\n")
    (folder / "bpe.codes").write_text("a b</w> 9\na b 2\n")
    (folder / "added_tokens.json").write_text('{"<mask>": 7}')
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PhobertTokenizer"}')


def _write_sentencepiece(folder: Path) -> None:
    config = dataclasses.replace(
        CONFIG, num_segments=1, position_padding_token=1, position_offset=2, vocab_size=512
    )
    settings = FAMILIES["xlm-roberta"].write_config(config, {})
    (folder / "config.json").write_text(json.dumps(settings))
    arrays = FAMILIES["xlm-roberta"].tables[0].write(initialize(config), {})
    write_safetensors(folder / "model.safetensors", arrays)
    model = Path(__file__).parents[2] / "tests/checkpoints/tokenizers/data/unigram.model"
    (folder / "sentencepiece.bpe.model").write_bytes(model.read_bytes())


def _write_torch_weights(folder: Path) -> None:
    import torch

    _write_bert_tokenizer(folder)
    (folder / "model.safetensors").unlink()
    arrays = FAMILIES["bert"].tables[0].write(initialize(CONFIG), {})
    state = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    torch.save(state, folder / "pytorch_model.bin")


def _write_own_text_model(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        _write_bert_tokenizer(Path(scratch))
        checkpoints.export(checkpoints.read_folder(Path(scratch)), folder / "own", "bothways")


def _write_symbols(folder: Path) -> None:
    config = dataclasses.replace(CONFIG, vocab_size=4, num_segments=1)
    alphabet = Alphabet(symbols=("a", "b", "c", "ä"))
    bothways.create(folder / "m", config, SymbolReader(alphabet))


def _write_series(folder: Path) -> None:
    config = dataclasses.replace(
        CONFIG, input="vectors", vocab_size=0, num_channels=2, num_segments=1
    )
    series = Series(mean=(0.0, 1.0), std=(1.0, 2.0))
    bothways.create(folder / "m", config, SeriesReader(series))


def _encode(*sequences: Any, name: str = ".") -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        model = bothways.load(folder / name, backend="native")
        return model.encode(list(sequences), on_unknown="ignore")

    return read


def _write_settings(folder: Path) -> None:
    (folder / "s.toml").write_text(
        '[training]\nlearning_rate = 1e-3\nmax_steps = 10\n[model]\nsize = "tiny"\n'
        '[encoder]\nnum_layers = 2\n[data]\nvalidation = ["a", "b"]\n'
    )


def _read_settings(folder: Path) -> None:
    tables = read_toml(folder / "s.toml", TABLES)
    TrainingPlan.from_tables("classify", ["a.csv"], "out", tables)


def _run_settings() -> ResolvedSettings:
    lengths = np.full(8, 4)
    return resolve_settings(TrainingSettings(), lengths, from_scratch=True, gpu=False, bf16=False)


def _write_run(folder: Path) -> None:
    run = RunFolder(folder / "run")
    run.begin({"bound": {}, "settings": _run_settings().to_dict()})
    arrays = initialize(CONFIG)
    run.save_checkpoint(Checkpoint(RunState(step=3), arrays, arrays), keep=1)
    events = [
        {"kind": "step", "step": 1, "epoch": 0.5, "loss": 1.0, "learning_rate": 0.1},
        {"kind": "validation", "step": 2, "epoch": 1, "metrics": {"loss": None}, "best": True},
    ]
    run.metrics.write_text("".join(json.dumps(event) + "\n" for event in events))


def _read_run(folder: Path) -> None:
    run = RunFolder(folder / "run")
    run.resume({"bound": {}}, _run_settings(), steps_per_epoch=1)
    run.load_latest_checkpoint()
    discard_events_after(run.metrics, 1)
    read_events(run.metrics)


TARGETS: dict[str, Target] = {
    "vectors-npy": Target(_write_npy, _read_vectors("v.npy")),
    "vectors-jsonl": Target(_write_vector_lines, _read_vectors("v.jsonl")),
    "vectors-parquet": Target(_write_vector_table, _read_vectors("v.parquet")),
    "csv": _data("d.csv", 'id,text\n1,a b\n2,"ä\nb"\n'.encode(), id_column="id"),
    "csv-symbols": _data("d.csv", b"x\n\"['a', 'b']\"\n\"['b']\"\n", "symbols"),
    "tsv": _data("d.tsv", b'id\ttext\n1\t"a\n2\tb\n', id_column="id"),
    "jsonl": _data("d.jsonl", b'{"text": "a", "id": 1}\n{"text": "b", "id": 2}\n', id_column="id"),
    "jsonl-symbols": _data("d.jsonl", b'{"x": ["a", "b"]}\n{"x": ["b"]}\n', "symbols"),
    "jsonl-series": _data("d.jsonl", b'{"x": [[1, 2], [3, 4]]}\n{"x": [[1, 2]]}\n', "series"),
    "fasta": _data("d.fasta", b">a b\nACD\nEF\n>c\nGH\n", "symbols"),
    "txt": _data("d.txt", "a b\nä\nc".encode()),
    "json": _data("d.json", b'[{"text": "a"}, {"text": "b"}]'),
    "json-texts": _data("d.json", b'["a", "b"]'),
    "no-suffix": _data("d", b'{"text": "a"}\n{"text": "b"}\n'),
    "bzip2": _data("d.txt.bz2", bz2.compress(b"a b\nc\n")),
    "xz": _data("d.txt.xz", lzma.compress(b"a b\nc\n")),
    "feather": Target(_write_feather, _read_rows("d.feather")),
    "npy": Target(_write_arrays, _read_rows("d.npy", "series")),
    "npz": Target(_write_arrays, _read_rows("d.npz", "series")),
    "gzip": _data("d.txt.gz", gzip.compress(b"a b\nc\n", mtime=0)),
    "parquet": Target(_write_table, _read_rows("d.parquet", id_column="id")),
    "model-bert": Target(_write_bert_tokenizer, _encode("ab c", "ab c <x>")),
    "model-bert-vocabulary": Target(_write_bert_vocabulary, _encode("ab c", "ab c <x>")),
    "model-roberta-vocabulary": Target(_write_roberta_vocabulary, _encode("ab c", "a <x>")),
    "model-fast-bpe": Target(_write_fast_bpe, _encode("ab c", "a <x>")),
    "model-sentencepiece": Target(_write_sentencepiece, _encode("ab c \ufb01", "a <x>")),
    "model-sentences": Target(_write_sentence_model, _encode("ab c")),
    "model-unknown-head": Target(_write_unknown_head, _encode("ab c")),
    "model-ernie": Target(_write_ernie, _encode("ab c")),
    "model-modules": Target(_write_modules, _encode("ab c")),
    "model-static": Target(_write_static_embedding, _encode("ab c")),
    "model-routes": Target(_write_routes, _encode_routes),
    "model-layers": Target(_write_mixed_layers, _encode("ab c")),
    "model-hub": Target(_write_pickled_model, _convert),
    "wrong-folders": Target(_write_wrong_folders, _read_wrong_folders),
    "model-torch": Target(_write_torch_weights, _encode("ab c")),
    "model-own": Target(_write_own_text_model, _encode("ab c", name="own")),
    "model-symbols": Target(_write_symbols, _encode(["a", "b"], name="m")),
    "model-series": Target(_write_series, _encode([[0.5, 1.0]], name="m")),
    "settings": Target(_write_settings, _read_settings),
    "run": Target(_write_run, _read_run),
}
