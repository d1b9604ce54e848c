"""What an encoder says through its heads, against the same computed by hand from hidden states."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bothways
from bothways import Alphabet, Encoder, EncoderConfig, Series
from bothways.checkpoints import read_folder
from bothways.errors import InputError, SequenceTooLong, TruncationWarning
from bothways.inference.backends import BackendName
from bothways.model.config import PoolingMode
from bothways.model.heads import Head, HeadLayer, HeadTask
from bothways.native import is_built
from bothways.reference import head_outputs, probabilities
from bothways.sequences import SeriesReader, SymbolReader

if TYPE_CHECKING:
    from tests.inference.predict.conftest import MakeModel

SAME = 1e-5
"""fp32 through another order of additions."""

LABELS = ("red", "green", "blue")
MASK = 4
TEXTS = ["a river bank", "the loan", "walking the shores", "bank"]
LONG = "a river bank walking the loan banks shore river river walked a loan"


def classes(task: HeadTask = "classes", pooling: PoolingMode = "mean", outputs: int = 3) -> Head:
    layers = (
        HeadLayer(name="heads.pooler", outputs=5, activation="tanh"),
        HeadLayer(name="heads.classifier", outputs=outputs),
    )
    return Head(task=task, layers=layers, pooling=pooling, labels=LABELS[:outputs])


TAGS = Head(task="tags", layers=(HeadLayer(name="heads.tagger", outputs=3),), labels=LABELS)
TOKENS = Head(
    task="masked_tokens",
    layers=(
        HeadLayer(name="heads.dense", outputs=8, activation="gelu", norm="heads.norm"),
        HeadLayer(name="heads.tokens", outputs=16, tied=True),
    ),
)


def by_hand(path: Path, encoder: Encoder, sequence: Any, task: HeadTask, **more: Any) -> np.ndarray:
    """A head's outputs from the hidden states that the encoder shows."""
    folder = read_folder(path)
    (head,) = [head for head in folder.spec.heads if head.task == task]
    (states,) = encoder.contextualize([sequence], **more)
    return np.asarray(head_outputs(states.vectors, folder.all_weights, head))


BACKENDS: list[BackendName] = ["reference", "torch", "native"]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> BackendName:
    name: BackendName = request.param
    if name == "native" and not is_built():
        pytest.skip("bothways was installed without its engine")
    return name


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_each_sequence_gets_its_most_probable_label(
    pooling: PoolingMode, backend: BackendName, make_model: "MakeModel"
) -> None:
    path = make_model(classes(pooling=pooling))
    encoder = bothways.load(path, backend=backend)
    found = encoder.classify(TEXTS)
    expected = [probabilities(by_hand(path, encoder, t, "classes"), "classes") for t in TEXTS]
    np.testing.assert_allclose(found.probabilities, expected, rtol=0, atol=SAME)
    assert found.labels == [LABELS[row.argmax()] for row in expected]
    assert found.names == LABELS
    assert found.probabilities.dtype == np.float32
    assert not found.truncated.any()


def test_several_labels_are_those_that_reach_the_threshold(make_model: "MakeModel") -> None:
    path = make_model(classes("multilabel"))
    encoder = bothways.load(path)
    outputs = np.array([by_hand(path, encoder, text, "multilabel") for text in TEXTS])
    expected = 1 / (1 + np.exp(-outputs))
    found = encoder.classify(TEXTS, threshold=0.3)
    np.testing.assert_allclose(found.probabilities, expected, rtol=0, atol=SAME)
    assert found.labels == [
        [name for name, share in zip(LABELS, row, strict=True) if share >= 0.3] for row in expected
    ]
    assert encoder.classify(TEXTS, threshold=0).labels == [list(LABELS)] * 4


def test_values_are_the_outputs_themselves(make_model: "MakeModel") -> None:
    path = make_model(classes("values"))
    encoder = bothways.load(path)
    expected = [by_hand(path, encoder, text, "values") for text in TEXTS]
    np.testing.assert_allclose(encoder.predict(TEXTS), expected, rtol=0, atol=SAME)
    assert encoder.predict(TEXTS[0]).shape == (3,)


def test_one_value_is_a_number_for_each_sequence(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(classes("values", outputs=1)))
    assert encoder.predict(TEXTS).shape == (4,)
    assert encoder.predict(TEXTS[0]).shape == ()


def test_every_token_gets_a_label_but_special_ones(
    backend: BackendName, make_model: "MakeModel"
) -> None:
    path = make_model(TAGS)
    encoder = bothways.load(path, backend=backend)
    found = encoder.tag(TEXTS)
    for text, tagged in zip(TEXTS, found, strict=True):
        expected = probabilities(by_hand(path, encoder, text, "tags")[1:-1], "tags")
        np.testing.assert_allclose(tagged.probabilities, expected, rtol=0, atol=SAME)
        assert tagged.labels == [LABELS[row.argmax()] for row in expected]
        assert tagged.offsets is not None
        assert tagged.offsets[0].tolist() == [0, len(text.split()[0].removesuffix("ing"))]
    assert found[2].tokens == ["walk", "##ing", "the", "shore", "##s"]
    assert found[0].names == LABELS


def test_a_word_gets_the_label_of_its_first_token(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(TAGS))
    words = ["walking", "the", "\u200b", "shores"]
    from_words, from_text = encoder.tag([words, " ".join(words)])
    assert from_words.tokens == words
    assert from_words.offsets is None
    first = [0, 2, 3, 4]
    assert from_text.tokens == ["walk", "##ing", "the", "[UNK]", "shore", "##s"]
    assert from_words.labels == [from_text.labels[i] for i in first]
    np.testing.assert_array_equal(from_words.probabilities, from_text.probabilities[first])


def test_a_word_that_was_cut_off_has_no_label(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(TAGS))
    with pytest.warns(TruncationWarning, match="1 of 1 sequences"):
        (tagged,) = encoder.tag([LONG.split()])
    assert tagged.truncated
    assert tagged.tokens == LONG.split()
    labeled = [label is not None for label in tagged.labels]
    assert labeled == [True] * 8 + [False] * 5
    assert np.isnan(tagged.probabilities[8:]).all()
    assert not np.isnan(tagged.probabilities[:8]).any()


def test_the_middle_of_a_pair_has_no_label(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(TAGS))
    (tagged,) = encoder.tag([("a river", "the bank")])
    assert tagged.tokens == ["a", "river", "the", "bank"]


@pytest.mark.parametrize("task", ["classes", "tags", "masked_tokens"])
def test_windows_are_merged_before_a_head_sees_them(
    task: HeadTask, make_model: "MakeModel"
) -> None:
    path = make_model(classes(), TAGS, TOKENS)
    encoder = bothways.load(path)
    expected = by_hand(path, encoder, LONG, task, on_overflow="window")
    if task == "masked_tokens":
        (weights,) = encoder.sparse([LONG], on_overflow="window").to_scipy().toarray()
        np.testing.assert_allclose(
            weights, np.log1p(np.maximum(expected, 0)).max(axis=0), rtol=0, atol=SAME
        )
        return
    share = probabilities(expected, task)
    if task == "classes":
        found = encoder.classify([LONG], on_overflow="window").probabilities
        np.testing.assert_allclose(found, share[None], rtol=0, atol=SAME)
    else:
        (tagged,) = encoder.tag([LONG], on_overflow="window")
        np.testing.assert_allclose(tagged.probabilities, share[1:-1], rtol=0, atol=SAME)
        assert not tagged.truncated


@pytest.mark.parametrize("method", ["classify", "predict", "tag", "sparse"])
def test_what_is_too_long_is_cut_with_a_warning_or_refused(
    method: str, make_model: "MakeModel"
) -> None:
    encoder = bothways.load(make_model(classes(), classes("values"), TAGS, TOKENS))
    with pytest.warns(TruncationWarning, match="1 of 2 sequences") as caught:
        getattr(encoder, method)([LONG, "bank"])
    assert caught[0].filename == __file__
    with pytest.raises(SequenceTooLong, match="sequence 1: "):
        getattr(encoder, method)(["bank", LONG], on_overflow="error")


def test_masks_are_filled_with_the_most_probable_tokens(
    backend: BackendName, make_model: "MakeModel"
) -> None:
    path = make_model(TOKENS)
    encoder = bothways.load(path, backend=backend)
    texts = ["a [MASK] bank [MASK]", "the [MASK]"]
    found = encoder.fill_mask(texts, top=3)
    assert [[mask.position for mask in masks] for masks in found] == [[2, 4], [2]]
    for text, masks in zip(texts, found, strict=True):
        logits = by_hand(path, encoder, text, "masked_tokens")
        for mask in masks:
            share = probabilities(logits[mask.position], "masked_tokens")
            best = np.argsort(-share)[:3]
            assert mask.ids.tolist() == best.tolist()
            np.testing.assert_allclose(mask.probabilities, share[best], rtol=0, atol=SAME)
    assert encoder.mask_token == "[MASK]"  # noqa: S105
    (single,) = encoder.fill_mask(texts[1], top=16)
    assert sorted(single.ids.tolist()) == list(range(16))
    assert {"river", "##ing", "15"} <= set(single.tokens)  # 15 is an id without a token


def test_a_text_without_a_mask_is_told_how_to_write_one(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(TOKENS))
    with pytest.raises(InputError, match=r"sequence 1: has no mask; write \[MASK\] where"):
        encoder.fill_mask(["a [MASK]", "a bank"])
    with (
        pytest.warns(TruncationWarning),
        pytest.raises(InputError, match="has no mask, or its beginning has none and the rest was"),
    ):
        encoder.fill_mask([LONG + " [MASK]"])
    for top in (0, 17):
        with pytest.raises(InputError, match=f"top={top}: expected 1 to 16"):
            encoder.fill_mask("a [MASK]", top=top)


@pytest.mark.parametrize(
    "head", [classes("values", outputs=1), classes(outputs=2), classes("multilabel", outputs=1)]
)
def test_documents_are_ordered_by_what_the_head_says_of_each_pair(
    head: Head, make_model: "MakeModel"
) -> None:
    encoder = bothways.load(make_model(head))
    found = encoder.rerank("a river", TEXTS)
    pairs = [("a river", text) for text in TEXTS]
    if head.task == "values":
        expected = encoder.predict(pairs)
    else:
        expected = encoder.classify(pairs).probabilities[:, -1]
    np.testing.assert_array_equal(found.scores, expected)
    assert found.order.tolist() == np.argsort(-expected).tolist()
    assert found.order.dtype == np.int64


def test_no_documents_are_in_order(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(classes(outputs=2)))
    assert encoder.rerank("a river", []).order.shape == (0,)


def test_a_head_that_gives_no_score_does_not_rank(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(classes()))
    with pytest.raises(InputError, match="of this model has 3: red, green, blue"):
        encoder.rerank("a river", TEXTS)


def test_weights_of_terms_are_those_of_splade(
    backend: BackendName, make_model: "MakeModel"
) -> None:
    path = make_model(TOKENS)
    encoder = bothways.load(path, backend=backend)
    found = encoder.sparse(TEXTS)
    dense = np.zeros(found.shape, np.float32)
    for row, text in enumerate(TEXTS):
        logits = by_hand(path, encoder, text, "masked_tokens")
        for token in range(16):
            dense[row, token] = max(np.log(1 + max(z, 0.0)) for z in logits[:, token])
    np.testing.assert_allclose(found.to_scipy().toarray(), dense, rtol=0, atol=SAME)
    assert (found.data > 0).all()
    assert found.tokens[5] == "river"


@pytest.mark.parametrize(
    ("method", "sequences", "shape"),
    [("classify", [], (0, 3)), ("predict", [], (0, 3)), ("sparse", [], (0, 16))],
)
def test_nothing_gives_nothing(
    method: str, sequences: list[str], shape: tuple[int, int], make_model: "MakeModel"
) -> None:
    encoder = bothways.load(make_model(classes(), classes("values"), TOKENS))
    found = getattr(encoder, method)(sequences)
    if method == "sparse":
        assert found.shape == shape
        assert found.to_scipy().shape == shape
    else:
        assert getattr(found, "probabilities", found).shape == shape
    assert bothways.load(encoder.path).tasks == ("classes", "values", "masked_tokens")


@pytest.mark.parametrize(
    ("method", "needs"),
    [
        ("classify", "classify needs a head for classes or multilabel"),
        ("predict", "predict needs a head for values"),
        ("fill_mask", "fill_mask needs a head for masked_tokens"),
        ("sparse", "sparse needs a head for masked_tokens"),
    ],
)
def test_a_model_without_the_head_says_which_it_has_and_what_to_do(
    method: str, needs: str, make_model: "MakeModel"
) -> None:
    encoder = bothways.load(make_model(TAGS))
    assert encoder.tasks == ("tags",)
    with pytest.raises(InputError) as caught:
        getattr(encoder, method)(["a bank"])
    message = str(caught.value)
    assert message.startswith(needs)
    assert "it has one for tags; load a model that has one, or train one: bothways train" in message


def test_a_model_of_symbols_labels_each_symbol(make_model: "MakeModel") -> None:
    alphabet = Alphabet.protein()
    config = EncoderConfig(num_layers=1, num_heads=2, d_model=8, d_ff=8, vocab_size=len(alphabet))
    reader = SymbolReader(alphabet)
    encoder = bothways.load(make_model(TAGS, classes(outputs=2), config=config, reader=reader))
    as_text, as_list = encoder.tag(["MKV", ["M", "K", "V"]])
    assert as_text.tokens == as_list.tokens == ["M", "K", "V"]
    assert as_text.labels == as_list.labels
    assert as_text.offsets is not None
    assert as_text.offsets.tolist() == [[0, 1], [1, 2], [2, 3]]
    with pytest.raises(InputError, match="pairs of texts"):
        encoder.rerank("M", ["K"])


def test_a_model_of_symbols_fills_the_masks_of_its_alphabet(make_model: "MakeModel") -> None:
    alphabet = Alphabet.protein()
    config = EncoderConfig(num_layers=1, num_heads=2, d_model=8, d_ff=8, vocab_size=len(alphabet))
    head = dataclasses.replace(
        TOKENS,
        layers=(TOKENS.layers[0], dataclasses.replace(TOKENS.layers[1], outputs=len(alphabet))),
    )
    encoder = bothways.load(make_model(head, config=config, reader=SymbolReader(alphabet)))
    (mask,) = encoder.fill_mask(f"MK{encoder.mask_token}V", top=len(alphabet))
    assert sorted(mask.tokens) == sorted(alphabet.symbols)


def test_a_model_of_series_labels_each_position(make_model: "MakeModel") -> None:
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=8, input="vectors", num_channels=2
    )
    reader = SeriesReader(Series.as_is(2))
    path = make_model(TAGS, classes("values", outputs=1), config=config, reader=reader)
    encoder = bothways.load(path)
    (tagged,) = encoder.tag([np.ones((3, 2))])
    assert tagged.tokens == ["0", "1", "2"]
    assert tagged.offsets is None
    assert encoder.predict(np.ones((3, 2))).shape == ()
    with pytest.raises(InputError, match="no mask token"):
        _ = encoder.mask_token


def test_ids_are_taken_as_they_are(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(TAGS, TOKENS))
    (tagged,) = encoder.tag([[2, 5, 3]])
    assert tagged.tokens == ["2", "5", "3"]
    (masks,) = encoder.fill_mask([[2, MASK, 3]], top=1)
    assert masks[0].position == 1


@pytest.mark.parametrize("method", ["classify", "tag"])
def test_progress_hears_of_every_token(method: str, make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(classes(), TAGS))
    heard: list[tuple[int, int]] = []
    getattr(encoder, method)(TEXTS, progress=lambda done, total: heard.append((done, total)))
    total = int(encoder.encode_detailed(TEXTS).num_tokens.sum())
    assert heard[-1] == (total, total)


@pytest.mark.parametrize("threshold", [-0.1, 1.5])
def test_a_threshold_is_a_probability(threshold: float, make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(classes("multilabel")))
    with pytest.raises(InputError, match="expected a probability, from 0 to 1"):
        encoder.classify(TEXTS, threshold=threshold)
