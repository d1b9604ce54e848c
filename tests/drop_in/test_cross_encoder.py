"""The same calls on bothways' `CrossEncoder` and on sentence-transformers' own."""

import inspect
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentence_transformers
import torch
from sentence_transformers import util
from tests.support.drop_in import Both, assert_equal, bert_folder, load_both

from bothways import drop_in
from bothways.errors import InputError, TruncationWarning

QUERY = "a river"
DOCUMENTS = ["a bank of water", "loan", "a river bank", "the", "to find a shore: a stream", "river"]
IDENTITY = "torch.nn.modules.linear.Identity"
SIGMOID = "torch.nn.modules.activation.Sigmoid"
PAIRS = [(QUERY, document) for document in DOCUMENTS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder of one output, as transformers saves it."""
    from transformers import BertForSequenceClassification

    path = tmp_path_factory.mktemp("cross")
    return bert_folder(path, BertForSequenceClassification, num_labels=1)


@pytest.fixture(scope="module")
def one(folder: Path) -> Both:
    return load_both("CrossEncoder", folder, prompts={"query": "find "})


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Both:
    from transformers import BertForSequenceClassification

    path = tmp_path_factory.mktemp("cross")
    return load_both("CrossEncoder", bert_folder(path, BertForSequenceClassification, num_labels=3))


@pytest.mark.parametrize("model", ["one", "several"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 2, "show_progress_bar": False, "chunk_size": 2, "device": "cpu"},
        {"prompt": "to "},
        {"apply_softmax": True},
        {"activation_fn": torch.nn.Identity()},
        {"activation_fn": torch.nn.Tanh(), "apply_softmax": True},
        {"activation_fct": torch.nn.Sigmoid()},
        {"convert_to_tensor": True},
        {"convert_to_numpy": False},
        {"num_workers": 0},
    ],
    ids=str,
)
def test_predict_gives_the_same(
    model: str, options: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    assert_equal(*(m.predict(PAIRS, **options) for m in request.getfixturevalue(model)))


@pytest.mark.filterwarnings("ignore::bothways.errors.UnknownTokenWarning")
def test_a_script_that_retrieves_and_reranks_gives_the_same(prompted: Both, one: Both) -> None:
    found = []
    for retriever, reranker in zip(prompted, one, strict=True):
        corpus = retriever.encode_document(DOCUMENTS, convert_to_tensor=True)
        query = retriever.encode_query(QUERY, convert_to_tensor=True)
        hits = util.semantic_search(query, corpus, top_k=4, score_function=util.dot_score)[0]
        texts = [DOCUMENTS[hit["corpus_id"]] for hit in hits]
        ranking = reranker.rank(QUERY, texts, top_k=3, return_documents=True)
        found.append((texts, [row["text"] for row in ranking]))
    assert found[0] == found[1]
    assert len(found[0][1]) == 3


@pytest.mark.parametrize(
    "inputs",
    [PAIRS[0], list(PAIRS[0]), [list(p) for p in PAIRS], tuple(PAIRS), np.array(PAIRS),
     np.array(PAIRS[0]), [], PAIRS[:1], "a river", [("", "")]],
    ids=str,
)  # fmt: skip
def test_each_kind_of_input_gives_the_same(inputs: Any, one: Both, several: Both) -> None:
    for model in (one, several):
        assert_equal(*(m.predict(inputs, convert_to_tensor=True) for m in model))
        for result in (m.predict(inputs) for m in model):
            assert isinstance(result, np.ndarray | np.float32)
    assert_equal(*(np.asarray(m.predict(inputs)) for m in one))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"top_k": 2},
        {"return_documents": True},
        {"prompt_name": "query"},
        {"activation_fn": torch.nn.Identity()},
    ],
    ids=str,
)
def test_documents_are_ranked_the_same(options: dict[str, Any], one: Both) -> None:
    ours, theirs = (m.rank(QUERY, DOCUMENTS, **options) for m in one)
    assert [list(result) for result in ours] == [list(result) for result in theirs]
    for name in ("corpus_id", "text"):
        assert [r.get(name) for r in ours] == [r.get(name) for r in theirs]
    np.testing.assert_allclose([r["score"] for r in ours], [r["score"] for r in theirs], atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"config.json": {"sentence_transformers": {"activation_fn": IDENTITY}}},
        {"config.json": {"sbert_ce_default_activation_function": IDENTITY}},
        {"config_sentence_transformers.json": {"activation_fn": SIGMOID}},
    ],
    ids=str,
)
def test_the_activation_that_a_folder_names_is_applied(
    settings: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "model"
    shutil.copytree(folder, copied)
    for name, fields in settings.items():
        file = copied / name
        old = json.loads(file.read_text()) if file.exists() else {"model_type": "CrossEncoder"}
        file.write_text(json.dumps(old | fields))
    assert_equal(*(m.predict(PAIRS) for m in load_both("CrossEncoder", copied)))


def test_an_activation_that_bothways_does_not_have_is_named(folder: Path, tmp_path: Path) -> None:
    copied = tmp_path / "model"
    shutil.copytree(folder, copied)
    config = json.loads((copied / "config.json").read_text())
    config["sbert_ce_default_activation_function"] = "torch.nn.modules.activation.Tanh"
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"activation is 'torch.nn.modules.activation.Tanh'"):
        drop_in.CrossEncoder(str(copied))
    drop_in.CrossEncoder(str(copied), activation_fn=torch.nn.Tanh()).predict(PAIRS)


def test_pairs_are_truncated_the_same(folder: Path) -> None:
    both = load_both("CrossEncoder", folder, max_length=9)
    assert both.ours.max_length == both.ours.max_seq_length == 9
    with pytest.warns(TruncationWarning):
        assert_equal(
            *(m.predict([("a river bank to a bank", "water of a stream: a")]) for m in both)
        )


def test_signatures_are_the_same() -> None:
    for name in ("predict", "rank", "__init__"):
        expected = inspect.signature(getattr(sentence_transformers.CrossEncoder, name)).parameters
        found = inspect.signature(getattr(drop_in.CrossEncoder, name)).parameters
        assert list(found) == list(expected)
        for parameter, other in zip(found.values(), expected.values(), strict=True):
            assert parameter.kind == other.kind
            if (name, parameter.name) != ("__init__", "backend"):
                assert parameter.default == other.default


def test_arguments_by_position_are_accepted(folder: Path) -> None:
    construct: Any = drop_in.CrossEncoder
    model = construct(str(folder), 1, 9, torch.nn.Identity(), "cpu")
    assert (model.num_labels, model.max_seq_length) == (1, 9)
    assert isinstance(model.activation_fn, torch.nn.Identity)
    with pytest.raises(TypeError, match="positional"):
        construct(str(folder), 1, 9, None, "cpu", None)


def test_earlier_names_of_arguments_are_accepted(folder: Path) -> None:
    identity = torch.nn.Identity()
    earlier: dict[str, Any] = {"model_name": str(folder), "default_activation_function": identity}
    model: Any = drop_in.CrossEncoder(**earlier, num_labels=1)
    assert_equal(
        model.predict(sentences=PAIRS),
        drop_in.CrossEncoder(str(folder)).predict(PAIRS, activation_fn=identity),
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_labels": 2}, "num_labels=2: the model's head has 1 outputs"),
        ({"keep_in_fp32_modules": ["0"]}, "keep_in_fp32_modules"),
        ({"max_length": 99}, "max_length=99: this model takes 1 to 64 tokens"),
    ],
)
def test_constructor_arguments_without_a_meaning_are_refused(
    options: dict[str, Any], message: str, folder: Path
) -> None:
    with pytest.raises(InputError, match=message):
        drop_in.CrossEncoder(str(folder), **options)


def test_a_model_without_a_head_is_refused(prompted_folder: Path) -> None:
    with pytest.raises(InputError, match="CrossEncoder needs a head for values or classes"):
        drop_in.CrossEncoder(str(prompted_folder))


def test_only_one_output_ranks(several: Both) -> None:
    with pytest.raises(InputError, match="rank needs a model with one output, and this one has 3"):
        several.ours.rank(QUERY, DOCUMENTS)


def test_scores_need_no_torch(folder: Path) -> None:
    code = f"""
import sys
sys.modules["torch"] = None
from bothways.drop_in import CrossEncoder
model = CrossEncoder({str(folder)!r}, backend="reference")
print([hit["corpus_id"] for hit in model.rank("a river", ["a bank", "water"])])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert sorted(json.loads(done.stdout)) == [0, 1]
