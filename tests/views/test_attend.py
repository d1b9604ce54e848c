"""The numbers of a view of attention: those of the encoder, and what follows from them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.models import TEXT, write_model

import bothways
from bothways import Encoder, EncoderConfig, Series
from bothways.errors import InputError, TruncationWarning
from bothways.inference.backends import BackendName
from bothways.inference.options import RunOptions
from bothways.model.config import PoolingMode
from bothways.model.pooling import Pooling
from bothways.native import is_built
from bothways.reference import embed, self_attention
from bothways.reference.layers import normalize, under
from bothways.reference.value_norms import value_norms
from bothways.sequences import SeriesReader
from bothways.views.attend.cosine import split_cosine
from bothways.views.attend.encoding import KEPT, decode_roots, encode_maps, to_roots

A, B = "a river bank", "the loan walking"


def test_maps_are_those_of_attention(plain: Encoder) -> None:
    (view,) = plain.attend(A).sequences
    maps = plain.attention(A)
    np.testing.assert_array_equal(view.probabilities, maps.probabilities)
    assert view.tokens == maps.tokens
    assert view.added.tolist() == [True, False, False, False, True]
    np.testing.assert_array_equal(view.means, maps.mean(axis=1))


def test_layers_may_be_chosen(plain: Encoder) -> None:
    every, last = plain.attend(A)[0], plain.attend(A, layers=-1)[0]
    assert last.layers == (1,)
    for name in ("probabilities", "value_norms", "rollout", "norms"):
        np.testing.assert_allclose(getattr(last, name), getattr(every, name)[1:], rtol=1e-6)
    with pytest.raises(InputError, match="layer 2: expected -2 to 1"):
        plain.attend(A, layers=[2])
    with pytest.raises(InputError, match="layers: got none"):
        plain.attend(A, layers=[])


def test_rollout_follows_attention_and_residual_connections(plain: Encoder) -> None:
    view = plain.attend(A)[0]
    assert view.rollout is not None
    steps = [(maps.mean(axis=0) + np.eye(5)) / 2 for maps in view.probabilities]
    np.testing.assert_allclose(view.rollout[0], steps[0], rtol=1e-5)
    np.testing.assert_allclose(view.rollout[1], steps[1] @ steps[0], rtol=1e-5)
    np.testing.assert_allclose(view.rollout.sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("placement", "key_value_heads"), [("post", 2), ("pre", 2), ("sandwich", 1)]
)
def test_values_that_attention_adds_have_these_norms(
    make_weights: Callable[..., dict[str, np.ndarray]], placement: Any, key_value_heads: int
) -> None:
    """With all other heads silenced, one head's output is the sum of α f(x)."""
    config = dataclasses.replace(
        TEXT,
        norm_placement=placement,
        final_norm=placement != "post",
        num_key_value_heads=key_value_heads,
    )
    weights = make_weights(config)
    x_LD = embed(np.array([2, 5, 6, 3]), weights, config, None)
    norms_HL = value_norms(x_LD, weights, config, 0)
    w = under("blocks.0", weights)
    if placement != "post":
        x_LD = normalize(x_LD, w, "attention_norm", config)
    K = config.head_width
    for head in range(config.num_heads):
        outputs = w["attention.output.weight"].copy()
        outputs[:, : head * K] = 0
        outputs[:, (head + 1) * K :] = 0
        silenced = {
            **w,
            "attention.output.weight": outputs,
            "attention.output.bias": np.zeros_like(w["attention.output.bias"]),
        }
        for position in range(len(x_LD)):
            alone_LD = np.repeat(x_LD[position : position + 1], 2, axis=0)  # every value is f(x)
            added_LD, _ = self_attention(alone_LD, silenced, config, 0)
            assert np.linalg.norm(added_LD[0]) == pytest.approx(norms_HL[head, position], rel=1e-5)


@pytest.mark.parametrize("backend", ["reference", "torch", "native"])
def test_occlusion_encodes_the_sequence_without_each_token(
    plain: Encoder, backend: BackendName
) -> None:
    if backend == "native" and not is_built():
        pytest.skip("bothways was installed without its engine")
    encoder = bothways.load(plain.path, backend=backend)
    view = encoder.attend(A, to=B)[0]
    (occlusion,) = view.occlusions
    ids = encoder.session.tokenize([A], "")[0].values
    other = _unit(encoder.encode(B))
    assert occlusion.score == pytest.approx(_unit(encoder.encode(A)) @ other, abs=1e-6)
    assert np.isnan(occlusion.without[[0, -1]]).all()
    for position in (1, 2, 3):
        without = _unit(encoder.encode(np.delete(ids, position)))
        assert occlusion.without[position] == pytest.approx(without @ other, abs=1e-6)
    np.testing.assert_allclose(occlusion.effects, occlusion.score - occlusion.without)


def _unit(vector: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vector / np.linalg.norm(vector)
    return unit


def test_without_another_sequence_tokens_move_the_vector(plain: Encoder) -> None:
    (occlusion,) = plain.attend(A)[0].occlusions
    assert occlusion.name == "vector"
    assert occlusion.score == pytest.approx(1)
    assert (occlusion.effects[1:4] > 0).all()


def test_a_head_is_explained_by_its_labels(with_heads: Encoder) -> None:
    view = with_heads.attend(A)[0]
    classified = with_heads.classify(A)
    best = view.occlusions[0]
    assert best.name == classified.label
    assert best.score == pytest.approx(classified.probabilities.max(), rel=1e-5)
    shorter = with_heads.classify("a bank").probabilities[classified.probabilities.argmax()]
    assert best.without[2] == pytest.approx(shorter, rel=1e-5)
    assert view.predictions[0].name == classified.label
    tags = with_heads.tag(A)
    assert [p.names[0] for p in view.token_predictions] == tags.labels
    assert [p.position for p in view.token_predictions] == [1, 2, 3]


def test_a_mask_has_candidates(with_heads: Encoder) -> None:
    view = with_heads.attend("a [MASK] bank")[0]
    (prediction,) = with_heads.fill_mask("a [MASK] bank")
    of_mask = [p for p in view.token_predictions if len(p.names) == 5]
    assert [(p.position, list(p.names)) for p in of_mask] == [(2, prediction.tokens)]


@pytest.mark.parametrize("mode", ["mean", "mean_sqrt_len", "weighted_mean", "mean_content"])
def test_the_parts_of_a_cosine_sum_to_it(
    make_weights: Callable[..., dict[str, np.ndarray]], tmp_path: Path, mode: PoolingMode
) -> None:
    encoder = bothways.load(write_model(tmp_path, make_weights(TEXT)), backend="reference")
    session = encoder.session
    session.spec = dataclasses.replace(session.spec, pooling=Pooling((mode,)))
    first, second = encoder.attend(A, to=B).sequences
    assert first.similarity is not None
    assert second.similarity is not None
    parts = first.similarity.parts
    assert parts is not None
    assert parts.shape == (5, 6)
    vectors = encoder.encode([A, B], normalize=True)
    assert parts.sum() == pytest.approx(vectors[0] @ vectors[1], abs=1e-6)
    assert first.similarity.cosine == pytest.approx(parts.sum(), abs=1e-6)
    assert second.similarity.parts is not None
    np.testing.assert_allclose(second.similarity.parts, parts.T)
    if mode == "mean_content":
        assert (parts[[0, -1]] == 0).all()


def test_a_cosine_of_other_poolings_is_not_split(plain: Encoder) -> None:
    session = bothways.load(plain.path, backend="reference").session
    session.spec = dataclasses.replace(session.spec, pooling=Pooling(("cls",)))
    fitted = session.prepare([A, B], RunOptions())
    assert split_cosine(session, fitted[0], fitted[1], RunOptions()) is None


def test_several_sequences_are_compared_with_one(plain: Encoder) -> None:
    view = plain.attend([A, B], to="bank", names=["first", "second"])
    assert [item.name for item in view.sequences] == ["first", "second", "the other"]
    assert [item.similarity is None for item in view.sequences] == [False, False, True]
    with pytest.raises(InputError, match="names: got 1 for 2 sequences"):
        plain.attend([A, B], names=["first"])
    with pytest.raises(InputError, match="to: got several"):
        plain.attend(A, to=[A, B])


def test_both_texts_of_a_pair_are_known(plain: Encoder) -> None:
    view = plain.attend((A, B))[0]
    assert view.texts.tolist() == [0] * 5 + [1] * 5
    assert view.added.sum() == 3


def test_a_series_keeps_its_values(tmp_path: Path) -> None:
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=8, input="vectors", num_channels=2
    )
    folder = bothways.create(tmp_path / "m", config, SeriesReader(Series.as_is(2)))
    values = np.arange(12, dtype=np.float64).reshape(6, 2)
    view = bothways.load(folder, backend="reference").attend(values)
    np.testing.assert_array_equal(view[0].values, values)
    assert not view[0].added.any()
    assert len(view[0].occlusions) == 1
    assert '"values":[[0.0,2.0' in view.html


def test_a_patch_of_a_series_has_its_first_value(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((100, 2)).cumsum(axis=0)
    series = Series.with_stem(lambda: [values])
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=8, input="vectors", num_channels=series.width
    )
    folder = bothways.create(tmp_path / "m", config, SeriesReader(series))
    view = bothways.load(folder, backend="reference").attend(values)
    np.testing.assert_array_equal(view[0].values, values[::3].astype(np.float32))
    assert view[0].tokens[1] == "3-5"


def test_a_cut_sequence_says_so(plain: Encoder) -> None:
    with pytest.warns(TruncationWarning):
        view = plain.attend("river bank " * 20)
    assert view[0].truncated
    assert len(view[0].tokens) == 12
    with pytest.raises(InputError, match="choose 'truncate'"):
        plain.attend(A, on_overflow="window")


def _long(make_weights: Callable[..., dict[str, np.ndarray]], folder: Path) -> Encoder:
    config = dataclasses.replace(TEXT, max_length=2100)
    return bothways.load(write_model(folder, make_weights(config), config=config), backend="native")


@pytest.mark.skipif(not is_built(), reason="bothways was installed without its engine")
def test_long_sequences_need_a_choice_of_layers(
    make_weights: Callable[..., dict[str, np.ndarray]], tmp_path: Path
) -> None:
    encoder = _long(make_weights, tmp_path)
    ids = np.full(520, 6)
    with pytest.raises(InputError, match=r"520 tokens; .* up to 512: choose layers \(--layers"):
        encoder.attend(ids)
    view = encoder.attend(ids, layers=0)[0]
    assert view.rollout is None
    assert view.occlusions == ()
    with pytest.raises(InputError, match=r"2080 tokens; .* up to 2048"):
        encoder.attend(np.full(2080, 6), layers=0)
    with pytest.raises(InputError, match=r"the page would have \d+ MB, and 20 MB is the most"):
        encoder.attend([np.full(512, 6)] * 200, occlude=False)


def test_bytes_are_the_probabilities_after_the_stated_rounding() -> None:
    rng = np.random.default_rng(0)
    maps = rng.dirichlet(np.full(9, 0.3), size=(4, 9)).astype(np.float32)
    decoded = decode_roots(np.frombuffer(encode_maps(maps), np.uint8).reshape(maps.shape))
    assert np.abs(decoded - maps).max() < 0.004
    assert np.abs(decoded - maps)[maps < 1e-5].max() < 2e-5
    assert decode_roots(to_roots(np.array([0.0, 1.0]))).tolist() == [0, 1]


def test_of_long_rows_the_largest_are_kept_with_the_rest() -> None:
    rng = np.random.default_rng(0)
    length = 200
    maps = rng.dirichlet(np.full(length, 0.1), size=(1, length)).astype(np.float32)
    content = encode_maps(maps)
    assert len(content) == length * (3 * KEPT + 1)
    places = np.frombuffer(content[: 2 * length * KEPT], "<u2").reshape(length, KEPT)
    kept = np.take_along_axis(maps[0], places.astype(np.int64), axis=1)
    np.testing.assert_array_equal(kept, -np.sort(-maps[0], axis=1)[:, :KEPT])
    rest = decode_roots(np.frombuffer(content[-length:], np.uint8))
    np.testing.assert_allclose(rest, 1 - kept.sum(axis=1), atol=0.004)


def test_the_page_is_saved_under_a_name_that_browsers_open(plain: Encoder, tmp_path: Path) -> None:
    view = plain.attend(A)
    path = view.save(tmp_path / "a.html")
    assert path.read_text(encoding="utf-8") == view.html
    with pytest.raises(InputError, match=r"a\.png: the page is HTML"):
        view.save(tmp_path / "a.png")
    assert len(repr(view)) < 300
    assert view._repr_html_().startswith("<iframe sandbox=")


def test_the_norms_do_not_depend_on_the_backend(heads_folder: Path) -> None:
    views = [
        bothways.load(heads_folder, backend=name).attend(A)[0] for name in ("reference", "torch")
    ]
    np.testing.assert_allclose(views[0].value_norms, views[1].value_norms, rtol=1e-4)
