"""Folders of sentence-transformers with a Router: the sides of asymmetric models."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding
from sentence_transformers.sparse_encoder.modules import (
    MLMTransformer,
    SparseStaticEmbedding,
    SpladePooling,
)
from tokenizers import Tokenizer
from transformers import BertConfig, BertForMaskedLM, BertTokenizer
from typer.testing import CliRunner

import bothways
from bothways import SequenceVectors, checkpoints, drop_in
from bothways.checkpoints import export
from bothways.checkpoints.export import Format
from bothways.checkpoints.folder import fingerprint, read_folder
from bothways.checkpoints.routes import Routes, read_router
from bothways.cli.app import app
from bothways.errors import CheckpointError, ConfigError, InputError, UnsupportedModel
from bothways.inference.prompts import PromptRole
from bothways.server.engine import Engine
from bothways.server.settings import BatchingSettings, ModelSettings

TOKENS = (
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "river", "bank", "loan", "##s", "a"
)  # fmt: skip
TEXTS = ["the River banks", "loan loan the loan", "unheard words, the bank", "", "a"]
SIZES = {
    "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
}  # fmt: skip
WEIGHTS = np.array([0, 0.1, 0, 0, 0, 0.2, 3, 0, 2.5, 1.5, 0.7], np.float32)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of eight dimensions with a head for masked tokens, and its tokenizer."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "vocab.txt").write_text("\n".join(TOKENS))
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(TOKENS), max_position_embeddings=16, **SIZES)
    model = BertForMaskedLM(config)
    torch.nn.init.normal_(model.cls.predictions.bias)
    model.save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt"), model_max_length=16).save_pretrained(folder)
    return folder


def tokenizer_of(base: Path) -> Any:
    return BertTokenizer.from_pretrained(base, local_files_only=True)


@pytest.fixture(scope="module")
def sparse_folder(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of documents by SPLADE, and of queries by a table of weights."""
    router = Router.for_query_document(
        query_modules=[SparseStaticEmbedding(tokenizer_of(base), torch.from_numpy(WEIGHTS))],
        document_modules=[
            MLMTransformer(str(base)),
            SpladePooling("max", activation_function="log1p_relu"),
        ],
    )
    folder = tmp_path_factory.mktemp("sparse") / "model"
    model = SparseEncoder(modules=[router], similarity_fn_name="dot", device="cpu")
    model.save(str(folder))
    return folder


@pytest.fixture(scope="module")
def dense_folder(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of documents by a Transformer, and of queries by static embeddings."""
    torch.manual_seed(1)
    table = StaticEmbedding(
        Tokenizer.from_file(str(base / "tokenizer.json")),
        embedding_weights=np.random.default_rng(0).standard_normal((len(TOKENS), 8), np.float32),
    )
    router = Router.for_query_document(
        query_modules=[table], document_modules=[Transformer(str(base)), Pooling(8, "cls")]
    )
    folder = tmp_path_factory.mktemp("dense") / "model"
    SentenceTransformer(
        modules=[router, Dense(8, 4), Normalize()],
        prompts={"query": "a ", "document": "the "},
        device="cpu",
    ).save(str(folder))
    return folder


def as_dense(vectors: Any) -> np.ndarray:
    return np.asarray(vectors.to_dense())


def test_each_side_weighs_terms_as_sentence_transformers(sparse_folder: Path) -> None:
    theirs = SparseEncoder(str(sparse_folder), device="cpu")
    encoder = bothways.load(sparse_folder, threads=1)
    assert encoder.routes == ("query", "document")
    sides: dict[PromptRole | None, Any] = {
        "query": theirs.encode_query(TEXTS),
        "document": theirs.encode_document(TEXTS),
        None: theirs.encode(TEXTS),
    }
    for role, expected in sides.items():
        found = encoder.sparse(TEXTS, role=role, on_unknown="ignore").to_scipy().toarray()
        np.testing.assert_allclose(found, as_dense(expected), rtol=0, atol=1e-6)
    query = bothways.load(sparse_folder, route="query", threads=1)
    assert query.sparse("loan loan the loan").terms() == {"loan": 2.5, "the": pytest.approx(0.2)}


@pytest.mark.parametrize("backend", ["native", "torch", "reference"])
def test_a_table_is_the_same_on_every_backend(sparse_folder: Path, backend: Any) -> None:
    query = bothways.load(sparse_folder, route="query", backend=backend, threads=1)
    vectors = query.sparse(TEXTS, on_unknown="ignore")
    assert vectors.shape == (len(TEXTS), len(TOKENS))
    assert vectors[3].terms() == {}  # a text without tokens
    assert dict(vectors[0].terms()) == pytest.approx({"river": 3, "##s": 1.5, "the": 0.2}, abs=1e-6)


def test_a_model_of_weights_of_tokens_has_no_vectors(sparse_folder: Path) -> None:
    query = bothways.load(sparse_folder, route="query", threads=1)
    with pytest.raises(InputError, match="use sparse"):
        query.encode(TEXTS)


def test_each_side_encodes_as_sentence_transformers(dense_folder: Path) -> None:
    theirs = SentenceTransformer(str(dense_folder), device="cpu")
    encoder = bothways.load(dense_folder, threads=1)
    sides: dict[PromptRole | None, Any] = {
        "query": theirs.encode_query(TEXTS),
        "document": theirs.encode_document(TEXTS),
        None: theirs.encode(TEXTS),
    }
    for role, expected in sides.items():
        found = encoder.encode(TEXTS, role=role, on_unknown="ignore")
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
        prepared = encoder.prepare(TEXTS, role=role, on_unknown="ignore")
        detailed = encoder.encode_detailed(prepared, role=role, on_unknown="ignore")
        assert isinstance(detailed, SequenceVectors)
        assert np.array_equal(detailed.vectors, found)


def test_the_classes_of_sentence_transformers_route_as_they_do(
    dense_folder: Path, sparse_folder: Path
) -> None:
    theirs: Any = SentenceTransformer(str(dense_folder), device="cpu")
    ours: Any = drop_in.SentenceTransformer(dense_folder, device="cpu")
    assert ours.max_seq_length > 16  # of the table, and not of the Transformer
    calls: dict[str, dict[str, Any]] = {
        "encode_query": {}, "encode_document": {}, "encode": {"task": "query"},
    }  # fmt: skip
    for method, options in calls.items():
        for texts in (TEXTS[:2], "the bank"):
            found = getattr(ours, method)(texts, **options)
            np.testing.assert_allclose(
                found, getattr(theirs, method)(texts, **options), rtol=0, atol=1e-6
            )
    with pytest.raises(ValueError, match="no route for 'other'"):
        ours.encode(TEXTS, task="other")
    with pytest.raises(ValueError, match="No route found for task type 'other'"):
        theirs.encode(TEXTS, task="other")
    theirs = SparseEncoder(str(sparse_folder), device="cpu")
    ours = drop_in.SparseEncoder(sparse_folder, device="cpu")
    for method in ("encode_query", "encode_document", "encode"):
        found, expected = (as_dense(getattr(m, method)(TEXTS[:2])) for m in (ours, theirs))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert ours.get_embedding_dimension() == theirs.get_embedding_dimension()


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_transformer_may_be_in_the_folder_itself(sparse_folder: Path, tmp_path: Path) -> None:
    """As in the published models of OpenSearch, with the names of releases before 6."""
    before = bothways.load(sparse_folder, threads=1).sparse(TEXTS, on_unknown="ignore")
    folder = shutil.copytree(sparse_folder, tmp_path / "model")
    (inner,) = folder.glob("document_0_*")
    for path in inner.iterdir():
        path.rename(folder / path.name)
    old = "sentence_transformers.sparse_encoder.models"
    edit(
        folder / "router_config.json",
        types={
            "query_0_SparseStaticEmbedding": f"{old}.SparseStaticEmbedding.SparseStaticEmbedding",
            "": f"{old}.MLMTransformer.MLMTransformer",
            "document_1_SpladePooling": f"{old}.SpladePooling.SpladePooling",
        },
        structure={
            "query": ["query_0_SparseStaticEmbedding"],
            "document": ["", "document_1_SpladePooling"],
        },
    )
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Router"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    encoder = bothways.load(folder, threads=1)
    after = encoder.sparse(TEXTS, on_unknown="ignore")
    assert np.array_equal(after.data, before.data)
    assert encoder.sparse("loan", role="query").terms() == {"loan": 2.5}


def test_weights_of_tokens_may_be_in_json(sparse_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(sparse_folder, tmp_path / "model")
    (inner,) = folder.glob("query_0_*")
    (inner / "model.safetensors").unlink()
    (inner / "idf.json").write_text(json.dumps({"river": 3, "bank": 0.5}))
    edit(inner / "config.json", path="idf.json")
    first = fingerprint(folder)
    query = bothways.load(folder, route="query", threads=1)
    assert query.sparse("the bank banks").terms() == {"bank": 0.5}
    (inner / "idf.json").write_text(json.dumps({"river": 3, "bank": 0.25}))
    assert fingerprint(folder) != first
    (inner / "idf.json").write_text(json.dumps({"missing": 3}))
    with pytest.raises(CheckpointError, match="'missing': 3: expected a token"):
        read_folder(folder, route="query")
    edit(inner / "config.json", path="../idf.json")
    with pytest.raises(CheckpointError, match="leaves the folder"):
        read_folder(folder, route="query")


def test_layers_after_pooling_may_have_routes(base: Path, tmp_path: Path) -> None:
    """The module was called Asym, and its settings config.json, before release 5."""
    torch.manual_seed(2)
    router = Router({"query": [Dense(8, 4)], "document": [Dense(8, 4), Normalize()]})
    SentenceTransformer(modules=[Transformer(str(base)), Pooling(8), router], device="cpu").save(
        str(tmp_path / "model")
    )
    theirs = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    expected = theirs.encode_query(TEXTS), theirs.encode_document(TEXTS), theirs.encode(TEXTS)
    modules = json.loads((tmp_path / "model" / "modules.json").read_text())
    modules[2]["type"] = "sentence_transformers.models.Asym"
    (tmp_path / "model" / "modules.json").write_text(json.dumps(modules))
    settings = tmp_path / "model" / modules[2]["path"] / "router_config.json"
    settings.rename(settings.with_name("config.json"))
    encoder = bothways.load(tmp_path / "model", threads=1)
    roles: tuple[PromptRole | None, ...] = ("query", "document", None)
    for role, vectors in zip(roles, expected, strict=True):
        found = encoder.encode(TEXTS, role=role, on_unknown="ignore")
        np.testing.assert_allclose(found, vectors, rtol=0, atol=1e-6)


def test_one_side_can_be_loaded_alone(dense_folder: Path) -> None:
    both = bothways.load(dense_folder, threads=1)
    query = bothways.load(dense_folder, route="query", threads=1)
    assert np.array_equal(query.encode("loan", role="query"), both.encode("loan", role="query"))
    assert np.array_equal(query.encode("a loan"), both.encode("loan", role="query"))
    with pytest.raises(InputError, match=r"is the route 'query' of .* alone: load the folder"):
        query.encode("loan", role="document")
    with pytest.raises(InputError, match="route='other': expected one of 'query', 'document'"):
        bothways.load(dense_folder, route="other")


def test_a_folder_without_routes_has_none_to_choose(base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"route='query': .* has no routes"):
        read_folder(base, route="query")
    SentenceTransformer(modules=[Transformer(str(base)), Pooling(8)], device="cpu").save(
        str(tmp_path / "plain")
    )
    with pytest.raises(InputError, match=r"route='query': .* has no routes"):
        read_folder(tmp_path / "plain", route="query")
    export(read_folder(base), tmp_path / "ours", "bothways")
    with pytest.raises(InputError, match=r"route='query': .* has no routes"):
        read_folder(tmp_path / "ours", route="query")


def test_the_fingerprint_covers_all_sides_and_names_the_chosen_one(
    dense_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(dense_folder, tmp_path / "model")
    whole = bothways.load(folder, threads=1).fingerprint
    assert bothways.load(folder, route="document", threads=1).fingerprint == whole  # the default
    assert bothways.load(folder, route="query", threads=1).fingerprint != whole
    router = next(folder.rglob("router_config.json"))
    for file in (router, *router.parent.glob("query_0_*/tokenizer.json")):
        file.write_text(file.read_text() + " ")
        changed = fingerprint(folder)
        assert changed != whole
        whole = changed


@pytest.mark.parametrize("to", ["sentence-transformers", "bothways"])
def test_a_side_is_exported_by_itself(sparse_folder: Path, tmp_path: Path, to: Any) -> None:
    for route in ("query", "document"):
        model = read_folder(sparse_folder, route=route)
        export(model, tmp_path / route, to)
        expected = bothways.load(sparse_folder, route=route, threads=1).sparse(
            TEXTS, on_unknown="ignore"
        )
        found = bothways.load(tmp_path / route, threads=1).sparse(TEXTS, on_unknown="ignore")
        assert np.array_equal(found.data, expected.data)
        assert np.array_equal(found.indices, expected.indices)
        if to == "sentence-transformers":
            theirs = SparseEncoder(str(tmp_path / route), device="cpu").encode(TEXTS)
            np.testing.assert_allclose(
                as_dense(theirs), expected.to_scipy().toarray(), rtol=0, atol=1e-6
            )


def test_weights_of_tokens_are_no_graph(sparse_folder: Path, tmp_path: Path) -> None:
    model = read_folder(sparse_folder, route="query")
    kinds: tuple[Format, ...] = ("onnx", "transformers")
    for to in kinds:
        with pytest.raises(UnsupportedModel, match="sentence-transformers"):
            export(model, tmp_path / "out", to)


RULES: dict[Any, str] = {
    ("query", "text"): "a",
    ("document", None): "b",
    (None, "image"): "c",
}


def test_routes_are_chosen_in_the_order_of_sentence_transformers() -> None:
    modules = {name: [Normalize()] for name in ("a", "b", "c", "text", "extra")}
    for rules in ({}, RULES, RULES | {(None, None): "extra"}, RULES | {(None, "text"): "c"}):
        theirs = Router(modules, default_route="b", route_mappings=rules)
        ours = Routes("file", tuple(modules), "b", rules)
        for task in ("query", "document", "a", "extra", None):
            assert ours.of_task(task) == theirs._resolve_route(task, "text"), (task, rules)


def test_without_a_default_a_route_must_be_chosen(dense_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(dense_folder, tmp_path / "model")
    router = next(folder.rglob("router_config.json"))
    edit(router, parameters={"default_route": None, "allow_empty_key": False})
    with pytest.raises(InputError, match="the routes 'query', 'document', and none is the default"):
        bothways.load(folder)
    assert bothways.load(folder, route="query", threads=1).encode("loan").shape == (4,)
    edit(router, parameters={"default_route": None, "allow_empty_key": True})
    assert read_folder(folder).route == "query"


MALFORMED = [
    ({"structure": {}}, "at least one route"),
    ({"structure": {"query": ["other"]}}, "structure: 'query'="),
    ({"structure": {"query": []}}, "structure: 'query'="),
    ({"parameters": {"default_route": "other"}}, "default_route='other'"),
    ({"parameters": {"route_mappings": {"query": "query"}}}, "route_mappings: 'query'"),
    ({"parameters": {"route_mappings": {"(None, None)": "other"}}}, "route_mappings"),
    ({"parameters": {"route_mappings": {"f()": "query"}}}, "route_mappings"),
    ({"types": {"../x": "y"}}, "leaves the folder"),
]


@pytest.mark.parametrize(("changes", "message"), MALFORMED)
def test_a_malformed_router_is_refused(
    dense_folder: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    (router,) = dense_folder.rglob("router_config.json")
    (tmp_path / "router_config.json").write_text(
        json.dumps(json.loads(router.read_text()) | changes)
    )
    with pytest.raises(CheckpointError, match=message.replace("(", r"\(").replace("[", r"\[")):
        read_router(tmp_path)


def test_the_model_of_a_router_is_a_new_class_only_if_it_is_known(
    dense_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(dense_folder, tmp_path / "model")
    router = next(folder.rglob("router_config.json"))
    types = json.loads(router.read_text())["types"]
    edit(router, types=dict.fromkeys(types, "evil.module.Class"))
    with pytest.raises(UnsupportedModel, match=r"route 'document' is 'evil\.module\.Class'"):
        checkpoints.read_folder(folder)
    edit(router, types=dict.fromkeys(types, "sentence_transformers.models.Router"))
    with pytest.raises(UnsupportedModel, match="a Router in a Router"):
        checkpoints.read_folder(folder)


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_commands_choose_a_route(sparse_folder: Path, dense_folder: Path, tmp_path: Path) -> None:
    facts = json.loads(run("inspect", sparse_folder, "--json").stdout)
    assert (facts["routes"], facts["route"]) == (["query", "document"], "document")
    page = run("inspect", sparse_folder, "--route", "query").stdout
    assert "query, document; this is query (--route)" in page
    assert "a number for each token that a text has" in page
    texts = tmp_path / "texts.txt"
    texts.write_text("the loan\n")
    predicted = run(
        "predict", sparse_folder, texts, "--route", "query", "-o", tmp_path / "terms.jsonl"
    )
    assert predicted.exit_code == 0, predicted.stderr
    row = json.loads((tmp_path / "terms.jsonl").read_text().splitlines()[-1])
    assert (row["terms"], row["weights"]) == (["loan", "the"], [2.5, 0.2])
    for command in (
        ("export", dense_folder, "-o", tmp_path / "out", "--to", "bothways"),
        ("evaluate", dense_folder, texts),
    ):
        failed = run(*command)
        assert failed.exit_code == 1
        assert "has the routes query, document: choose one with route= (--route)" in failed.stderr
    made = run("export", dense_folder, "-o", tmp_path / "q", "--to", "bothways", "--route", "query")
    assert made.exit_code == 0, made.stderr


def test_a_server_takes_one_route(dense_folder: Path) -> None:
    settings = ModelSettings(source=str(dense_folder), threads=1, warm_up=False)
    with pytest.raises(ConfigError, match="a served name is one of them"):
        Engine.load(settings, BatchingSettings())
    query = Engine.load(dataclasses.replace(settings, route="query"), BatchingSettings())
    assert query.encoder.session.route == "query"
