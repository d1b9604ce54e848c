"""`Encoder`: results in the order of the input, and the effect of every option."""

import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways import Alphabet, Encoder, EncoderConfig
from bothways.checkpoints import read_folder
from bothways.errors import (
    BackendError,
    CheckpointError,
    InputError,
    SequenceTooLong,
    TruncationWarning,
)
from bothways.inference.session import Session
from bothways.model.pooling import Pooling
from bothways.sequences import SymbolReader

SAME = 1e-6  # tolerance for fp32 sums in another order, at the scale of a unit vector
PROTEINS = ["MKV", "", "GAVLIMKVGG", "M", "KKKKK"]


def make(folder: Path, **changes: Any) -> Path:
    alphabet = Alphabet.protein()
    sizes: dict[str, Any] = {
        "num_layers": 2,
        "num_heads": 2,
        "d_model": 16,
        "d_ff": 32,
        "max_length": 12,
    }
    config = EncoderConfig(vocab_size=len(alphabet), **(sizes | changes))
    return bothways.create(folder, config, SymbolReader(alphabet), seed=1)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return bothways.load(make(tmp_path_factory.mktemp("models") / "protein"))


def test_vectors_come_in_the_order_given(encoder: Encoder) -> None:
    together = encoder.encode(PROTEINS)
    assert together.shape == (5, encoder.dimensions)
    assert together.dtype == np.float32
    alone = np.stack([encoder.encode(protein) for protein in PROTEINS])
    np.testing.assert_allclose(together, alone, atol=SAME)


def test_a_single_sequence_gives_a_single_vector(encoder: Encoder) -> None:
    assert encoder.encode("MKV").shape == (16,)
    assert encoder.encode(np.array([1, 2, 3])).shape == (16,)


def test_no_sequences_give_no_vectors(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, 16)
    assert encoder.contextualize([]) == []


def test_any_iterable_of_sequences_is_accepted(encoder: Encoder) -> None:
    np.testing.assert_array_equal(
        encoder.encode(protein for protein in PROTEINS), encoder.encode(PROTEINS)
    )


def test_the_batch_size_changes_no_vector(encoder: Encoder) -> None:
    for max_tokens in (1, 7, 20):
        vectors = encoder.encode(PROTEINS, max_tokens=max_tokens)
        np.testing.assert_allclose(vectors, encoder.encode(PROTEINS), atol=SAME)


def test_ids_are_taken_as_they_are(encoder: Encoder) -> None:
    assert encoder.reader is not None
    (tokenized,) = encoder.reader.read(["MKV"])
    by_ids = encoder.encode([tokenized.values])
    np.testing.assert_allclose(by_ids, encoder.encode(["MKV"]), atol=SAME)


def test_backends_agree(encoder: Encoder) -> None:
    reference = bothways.load(encoder.path, backend="reference")
    np.testing.assert_allclose(reference.encode(PROTEINS), encoder.encode(PROTEINS), atol=1e-5)
    np.testing.assert_allclose(reference.attention("MKV"), encoder.attention("MKV"), atol=1e-5)


def test_contextualize_gives_every_layer_and_token(encoder: Encoder) -> None:
    (one,) = encoder.contextualize(["MKV"], layers=(0, 1, -1))
    assert one.vectors.shape == (3, 5, 16)
    assert one.tokens[1:4] == ["M", "K", "V"]
    assert one.offsets is not None
    assert one.offsets[1:4].tolist() == [[0, 1], [1, 2], [2, 3]]
    last = encoder.contextualize("MKV")
    np.testing.assert_array_equal(last.vectors, one.vectors[-1])
    np.testing.assert_allclose(last.vectors.mean(0), encoder.encode("MKV"), atol=SAME)


def test_layers_are_one_several_or_all(encoder: Encoder) -> None:
    by_number = encoder.contextualize(["MKV"], layers=(0, 1, 2))[0].vectors
    np.testing.assert_array_equal(
        encoder.contextualize(["MKV"], layers="all")[0].vectors, by_number
    )
    np.testing.assert_array_equal(encoder.contextualize(["MKV"], layers=1)[0].vectors, by_number[1])
    np.testing.assert_array_equal(encoder.contextualize(["MKV"])[0].vectors, by_number[-1])
    maps = encoder.attention("MKV", layers="all", heads="all")
    np.testing.assert_array_equal(maps, encoder.attention("MKV"))
    np.testing.assert_array_equal(encoder.attention("MKV", layers=1, heads=0), maps[1:, :1])
    with pytest.raises(
        InputError, match="layers='last': expected an index, a list of indices, or 'all'"
    ):
        encoder.contextualize(["MKV"], layers="last")  # type: ignore[arg-type]


def test_attention_rows_sum_to_one_for_the_requested_heads(encoder: Encoder) -> None:
    everything = encoder.attention("MKV")
    assert everything.shape == (2, 2, 5, 5)
    np.testing.assert_allclose(everything.sum(-1), 1, atol=SAME)
    np.testing.assert_array_equal(encoder.attention("MKV", layers=[-1], heads=[1])[0, 0],
                                  everything[1, 1])  # fmt: skip


@pytest.mark.parametrize(
    "pooling", ["cls", "max", "mean", "mean_sqrt_len", "weighted_mean", "last"]
)
def test_every_pooling_is_the_reference_pooling(encoder: Encoder, pooling: Any) -> None:
    vectors = encoder.encode(PROTEINS, pooling=pooling)
    for protein, vector in zip(encoder.contextualize(PROTEINS), vectors, strict=True):
        expected = bothways.reference.pool(protein.vectors, pooling)
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_unit_length_and_fewer_dimensions_on_demand(encoder: Encoder) -> None:
    raw = encoder.encode(PROTEINS)
    unit = encoder.encode(PROTEINS, normalize=True)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=SAME)
    few = encoder.encode(PROTEINS, dimensions=4)
    np.testing.assert_array_equal(few, raw[:, :4])
    few_unit = encoder.encode(PROTEINS, dimensions=4, normalize=True)
    np.testing.assert_allclose(np.linalg.norm(few_unit, axis=1), 1, atol=SAME)


def test_long_sequences_are_cut_with_a_warning_that_counts(encoder: Encoder) -> None:
    with pytest.warns(TruncationWarning, match="1 of 2 sequences were longer than 12 tokens"):
        vectors = encoder.encode(["M" * 11 + "W", "MKV"])
    with pytest.warns(TruncationWarning):
        cut = encoder.contextualize("M" * 11 + "W")
    assert cut.truncated
    assert len(cut.tokens) == 12
    np.testing.assert_allclose(vectors[0], cut.vectors.mean(0), atol=SAME)


def test_long_sequences_can_be_refused(encoder: Encoder) -> None:
    with pytest.raises(SequenceTooLong, match="sequence 1: 13 tokens, but the model takes 12"):
        encoder.encode(["MKV", "M" * 11], on_overflow="error")
    with pytest.raises(SequenceTooLong):
        encoder.attention("M" * 11)


def test_long_sequences_can_be_encoded_in_windows(encoder: Encoder) -> None:
    long = "MKVGAWLIKFGHEDCSTNQPYRMKVGAWLIK" * 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = encoder.contextualize(long, on_overflow="window")
        vector = encoder.encode([long, "MKV"], on_overflow="window")[0]
    assert whole.vectors.shape == (len(long) + 2, 16)
    assert not whole.truncated
    np.testing.assert_allclose(vector, whole.vectors.mean(0), atol=SAME)


def test_encode_detailed_gives_token_counts_and_truncation(encoder: Encoder) -> None:
    encodings = encoder.encode_detailed(["M" * 30, "MKV", ""])
    assert encodings.num_tokens.tolist() == [12, 5, 2]
    assert encodings.truncated.tolist() == [True, False, False]


def test_progress_reaches_the_total(encoder: Encoder) -> None:
    seen: list[tuple[int, int]] = []
    encoder.encode(PROTEINS, max_tokens=6, progress=lambda done, total: seen.append((done, total)))
    assert len(seen) > 1
    assert seen[-1][0] == seen[-1][1] == sum(len(protein) + 2 for protein in PROTEINS)
    assert sorted(seen) == seen


def test_threads_may_share_an_encoder(encoder: Encoder) -> None:
    expected = encoder.encode(PROTEINS)
    results: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: results.append(encoder.encode(PROTEINS))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    for vectors in results:
        np.testing.assert_allclose(vectors, expected, atol=SAME)


def test_series_are_encoded_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    series = [rng.normal(5, 3, (length, 2)).astype(np.float32) for length in (1, 9, 4)]
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=16, input="vectors", num_channels=2
    )
    reader = bothways.sequences.SeriesReader(bothways.Series.from_sequences(series))
    encoder = bothways.load(bothways.create(tmp_path / "series", config, reader))
    vectors = encoder.encode(series)
    assert vectors.shape == (3, 8)
    np.testing.assert_allclose(encoder.encode(series[1]), vectors[1], atol=SAME)


def test_the_fingerprint_depends_on_the_model_and_not_its_path(tmp_path: Path) -> None:
    first = bothways.load(make(tmp_path / "first"))
    again = bothways.load(make(tmp_path / "again"))
    other = bothways.load(make(tmp_path / "other", norm_eps=1e-5))
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint != other.fingerprint


def test_create_gives_the_same_model_for_the_same_seed(encoder: Encoder, tmp_path: Path) -> None:
    again = bothways.load(make(tmp_path / "again"))
    np.testing.assert_array_equal(again.encode(PROTEINS), encoder.encode(PROTEINS))


def test_a_prompt_is_put_before_each_text(minilm_folder: Path) -> None:
    encoder = bothways.load(minilm_folder)
    literal = encoder.encode(["river"], prompt="query: ")
    np.testing.assert_allclose(literal, encoder.encode(["query: river"]), atol=SAME)
    assert abs(literal - encoder.encode(["river"])).max() > 100 * SAME


def test_a_prompt_left_out_of_pooling_changes_no_ids(minilm_folder: Path) -> None:
    whole = bothways.load(minilm_folder)
    model = read_folder(minilm_folder).with_spec(
        pooling=Pooling(("mean",), include_prompt=False), prompts={"q": "query: "}
    )
    encoder = Encoder(Session(model, whole.reader, whole.backend))
    ids = [np.array([101, 2314, 102])]
    np.testing.assert_array_equal(encoder.encode(ids, prompt_name="q"), encoder.encode(ids))
    assert (
        abs(encoder.encode(["river"], prompt_name="q") - whole.encode(["query: river"])).max()
        > 1e-3
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pooling": "median"}, "pooling='median': expected one of cls, "),
        ({"on_overflow": "cut"}, "on_overflow='cut': expected one of error, truncate, window"),
        ({"dimensions": 17}, "dimensions=17: expected 1 to 16"),
        ({"dimensions": 0}, "dimensions=0: expected 1 to 16"),
        ({"max_tokens": 0}, "max_tokens=0: expected at least 1"),
    ],
)
def test_a_wrong_argument_is_named(
    encoder: Encoder, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        encoder.encode(PROTEINS, **arguments)


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        (np.array([1, -1]), "sequence 1: .*-1"),
        (np.array([1, 10_000]), "sequence 1: .*10000"),
        (np.array([], dtype=np.int64), "sequence 1: "),
        (np.array([[1, 2]]), "sequence 1: "),
        (np.array([1, 2], dtype=np.float32), "sequence 1: "),
    ],
)
def test_a_sequence_that_cannot_be_encoded_is_named(
    encoder: Encoder, sequence: np.ndarray, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        encoder.encode([np.array([1, 2]), sequence])


def test_layers_and_heads_that_do_not_exist_are_named(encoder: Encoder) -> None:
    with pytest.raises(InputError, match="layer 3: expected -3 to 2"):
        encoder.contextualize("MKV", layers=(3,))
    with pytest.raises(InputError, match="layer 2: expected -2 to 1"):
        encoder.attention("MKV", layers=[2])
    with pytest.raises(InputError, match="head -3: expected -2 to 1"):
        encoder.attention("MKV", heads=[-3])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"backend": "cuda"}, InputError, "backend='cuda': expected one of auto, native, torch"),
        ({"backend": "native", "precision": "bf16"}, BackendError, "fp32 and int8"),
        ({"precision": "fp8"}, InputError, "precision='fp8': expected one of fp32, int8"),
        ({"backend": "torch", "precision": "int8"}, BackendError, "native"),
        ({"backend": "reference", "precision": "fp16"}, BackendError, "fp32, not in fp16"),
        ({"threads": 0}, InputError, "threads=0"),
    ],
)
def test_a_backend_that_is_not_available_is_refused(
    encoder: Encoder, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        bothways.load(encoder.path, **arguments)


def test_a_model_is_not_created_over_another(encoder: Encoder) -> None:
    with pytest.raises(OSError, match="exists already"):
        make(encoder.path)


def test_a_folder_whose_alphabet_outgrows_its_embedding_is_refused(tmp_path: Path) -> None:
    alphabet = Alphabet.protein()
    config = EncoderConfig(
        num_layers=1, num_heads=1, d_model=4, d_ff=4, vocab_size=len(alphabet) - 1
    )
    folder = bothways.create(tmp_path / "small", config, SymbolReader(alphabet))
    with pytest.raises(CheckpointError, match="vocab_size"):
        bothways.load(folder)
