"""The files beside a graph that the loaders of other libraries read.

optimum finds `model.onnx` by its name and reads config.json and the tokenizer;
sentence-transformers (`backend="onnx"`) adds pooling and modules to that; fastembed needs the
tokenizer's three files.
"""

from pathlib import Path

from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.sentence_transformers_export import write_modules
from bothways.checkpoints.transformers_export import config_for_graph
from bothways.errors import UnsupportedModel
from bothways.io.json_files import has_file, write_json
from bothways.sequences.alphabet import ALPHABET_FILE
from bothways.sequences.series import SERIES_FILE

__all__ = ["write_loader_files"]


def write_loader_files(out: Path, model: ModelBundle) -> list[str]:
    """Write reader, config and modules; return a sentence for each that the model rules out.

    A tokenizer of text cuts and pads as `encode` does. Readers of symbols and series, which no
    other library has, are copied.
    """
    if not _write_tokenizer(out, model):
        model.copy_reader_files(out)
        if has_file(out / "bpe.codes"):
            return [
                "a tokenizer.json: the vocabulary of fastBPE has none, bothways reads its files"
            ]
        return []
    try:
        write_json(out / "config.json", config_for_graph(model))
        write_modules(out, model)
    except UnsupportedModel as problem:
        return [f"what optimum or sentence-transformers would need to load the graph: {problem}"]
    return []


def _write_tokenizer(out: Path, model: ModelBundle) -> bool:
    config, spec = model.transformer, model.spec
    if any(has_file(model.reader_path / name) for name in (ALPHABET_FILE, SERIES_FILE)):
        return False
    # Imported here: models of symbols and series work without the tokenizers library.
    from bothways.checkpoints.tokenizers.export import write_tokenizer

    return write_tokenizer(
        model.reader_path,
        out,
        max_length=spec.max_length,
        lowercase=spec.lowercase,
        segments=config.num_segments > 1,
        special_tokens=spec.empty_token is None,
    )
