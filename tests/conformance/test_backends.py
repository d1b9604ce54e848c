"""Every variant of the config, in every backend, against the reference in float64."""

import dataclasses
import itertools
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.onnx.writing import output_names, write_onnx
from bothways.inference.backends import Backend
from bothways.model import variants
from bothways.model.config import EncoderConfig, PoolingMode
from bothways.model.fields import literal_fields
from bothways.model.heads import Head, HeadLayer, head_layout
from bothways.model.packing import PackedBatch
from bothways.model.pooling import Pooling
from bothways.model.spec import ModelSpec
from bothways.model.weights import Weights
from bothways.reference import head_outputs
from bothways.reference.backend import ReferenceBackend

TOLERANCE = 1e-5
"""Of the scale of what is compared: float32 rounding through a few layers, and no more."""
NEIGHBOR_TOLERANCE = 1e-6
"""Of unit scale: a matrix product may sum in another order when the batch has another size."""

MAX_LENGTH = 40
LENGTHS = (MAX_LENGTH, MAX_LENGTH, 23, 23, 23, 17, 7, 2, 1, 1)
"""As batches come: longest first, with runs of equal length."""
MASK = 3


def _point(**fields: Any) -> EncoderConfig:
    sizes = {"num_layers": 3, "num_heads": 2, "d_model": 16, "d_ff": 24, "max_length": MAX_LENGTH}
    if fields.get("input") != "vectors":
        sizes["vocab_size"] = 50
    return EncoderConfig(**sizes | fields)


POINTS: dict[str, EncoderConfig] = {
    "plain": _point(),
    "segments": _point(num_segments=2),
    "offset": _point(position_offset=2, num_segments=1),
    "padding within sequences": _point(
        position_offset=2, position_padding_token=1, attention_positions="relative"
    ),
    "vectors": _point(input="vectors", num_channels=5, position_embedding="sinusoidal"),
    "vectors with segments": _point(input="vectors", num_channels=1, num_segments=3),
    "no positions": _point(position_embedding="none", embedding_norm=False),
    "sinusoidal, odd width": _point(position_embedding="sinusoidal", d_model=15, num_heads=3),
    "narrow embedding": _point(embedding_size=6, block_of_layer=(0, 0, 0)),
    "narrow embedding, sinusoidal": _point(embedding_size=7, position_embedding="sinusoidal"),
    "blocks shared unevenly": _point(block_of_layer=(0, 1, 0), windows=(None, 4, 2)),
    "rotary": _point(position_embedding="none", attention_positions="rotary", rotary_base=500.0),
    "rotary, rounded": _point(
        position_embedding="none",
        attention_positions="rotary",
        rotary_precision="float16",
        d_model=32,
    ),
    "rotary, two bases": _point(
        position_embedding="none",
        attention_positions="rotary",
        rotary_base_local=100.0,
        windows=(None, 3, 3),
        norm_placement="pre",
    ),
    "rotary, scaled": _point(attention_positions="rotary", rotary_factor=4.0, rotary_base=50.0),
    "rotary, yarn": _point(
        attention_positions="rotary",
        rotary_scaling="yarn",
        rotary_factor=4.0,
        rotary_original_length=30,
        rotary_turns=(0.5, 3.0),
        rotary_whole_pairs=False,
        rotary_magnitude=1.2,
        d_model=32,
    ),
    "rotary, llama3": _point(
        position_embedding="none",
        attention_positions="rotary",
        rotary_scaling="llama3",
        rotary_factor=8.0,
        rotary_original_length=40,
        rotary_turns=(1.0, 4.0),
        d_model=32,
    ),
    "rotary, longrope, unscaled windows": _point(
        position_embedding="none",
        attention_positions="rotary",
        rotary_scaling="longrope",
        rotary_pair_factors=(1.0, 1.5, 3.0, 4.0),
        rotary_magnitude=1.1,
        rotary_scales_local=False,
        windows=(None, 5, None),
    ),
    "relative": _point(
        position_embedding="none",
        attention_positions="relative",
        relative_buckets=8,
        relative_max_distance=20,
    ),
    "relative and learned": _point(attention_positions="relative", position_offset=2),
    "learned and rotary": _point(attention_positions="rotary"),
    "sinusoidal and rotary": _point(position_embedding="sinusoidal", attention_positions="rotary"),
    "sinusoidal and relative": _point(
        position_embedding="sinusoidal", attention_positions="relative"
    ),
    "relative in windows": _point(
        position_embedding="none", attention_positions="relative", windows=(5, None, 0)
    ),
    "alibi": _point(position_embedding="none", attention_positions="alibi", d_model=32),
    "alibi and learned, three heads": _point(
        attention_positions="alibi", num_heads=3, d_model=24, position_offset=2
    ),
    "sinusoidal and alibi, windows": _point(
        position_embedding="sinusoidal", attention_positions="alibi", windows=(5, None, 0)
    ),
    "disentangled": _point(
        position_embedding="none",
        attention_positions="disentangled",
        relative_buckets=32,
        relative_max_distance=40,
        relative_embedding_norm=True,
        shared_position_projections=True,
    ),
    "disentangled, own maps": _point(
        attention_positions="disentangled", relative_buckets=10, relative_log_buckets=False
    ),
    "disentangled, one term, windows": _point(
        attention_positions="disentangled",
        relative_buckets=16,
        relative_max_distance=30,
        position_to_content=False,
        windows=(None, 5, 0),
        attention_bias=False,
    ),
    "disentangled, other term, shared keys": _point(
        position_embedding="sinusoidal",
        attention_positions="disentangled",
        relative_buckets=90,
        relative_log_buckets=False,
        content_to_position=False,
        num_heads=6,
        num_key_value_heads=2,
        head_size=5,
        attention_direction="causal",
    ),
    "disentangled, keys without bias": _point(
        attention_positions="disentangled",
        relative_buckets=16,
        relative_log_buckets=False,
        attention_key_bias=False,
    ),
    "disentangled, wide heads, shared keys": _point(
        position_embedding="none",
        attention_positions="disentangled",
        relative_buckets=24,
        relative_max_distance=20,
        shared_position_projections=True,
        num_heads=4,
        num_key_value_heads=2,
        head_size=9,
        norm_placement="pre",
    ),
    "window 0": _point(windows=(0, 0, 0)),
    "window 1": _point(windows=(1, 1, 1)),
    "windows, some none": _point(windows=(None, 6, 39)),
    "masks rescaled": _point(
        rescaled_mask_token=MASK,
        position_embedding="none",
        attention_positions="rotary",
        embedding_norm=False,
        norm_placement="pre",
    ),
    "pre-norm": _point(norm_placement="pre", final_norm=True),
    "pre-norm, first without": _point(
        norm_placement="pre", first_attention_norm=False, final_norm=True, norm_bias=False
    ),
    "post-norm, final norm": _point(final_norm=True, norm_eps=1e-3),
    "rms": _point(norm="rms", norm_eps=1e-6),
    "rms, pre-norm, gated": _point(norm="rms", norm_placement="pre", gated=True),
    "relu": _point(activation="relu"),
    "gelu_tanh": _point(activation="gelu_tanh"),
    "gelu_tanh, gated": _point(activation="gelu_tanh", gated=True, feed_forward_bias=False),
    "silu, gated": _point(activation="silu", gated=True),
    "silu": _point(activation="silu"),
    "silu, gated, one bias": _point(activation="silu", gated=True, feed_forward_input_bias=False),
    "no gate, one bias": _point(feed_forward_input_bias=False),
    "no biases": _point(attention_bias=False, feed_forward_bias=False, norm_bias=False),
    "odd sizes": _point(num_layers=1, num_heads=1, d_model=13, d_ff=29, vocab_size=37),
    "wide heads": _point(head_size=12),
    "narrow heads, rotary": _point(
        head_size=6, position_embedding="none", attention_positions="rotary"
    ),
    "shared keys": _point(num_heads=4, num_key_value_heads=2),
    "shared keys, relative, windows": _point(
        num_heads=6,
        num_key_value_heads=2,
        head_size=5,
        position_embedding="none",
        attention_positions="relative",
        windows=(None, 4, 0),
    ),
    "one head of keys, rotary": _point(
        num_heads=3,
        num_key_value_heads=1,
        head_size=8,
        position_embedding="none",
        attention_positions="rotary",
    ),
    "norm of queries and keys": _point(
        query_key_norm="head",
        norm="rms",
        norm_placement="pre",
        num_heads=4,
        num_key_value_heads=2,
        head_size=10,
        attention_positions="rotary",
    ),
    "norm of all queries": _point(
        query_key_norm="all_heads",
        norm_placement="pre",
        final_norm=True,
        final_norm_bias=False,
        residual_scale=0.6,
    ),
    "norm of all shared keys": _point(
        query_key_norm="all_heads", norm="rms", num_heads=4, num_key_value_heads=1
    ),
    "unscaled attention": _point(
        attention_scale=1.0,
        attention_positions="relative",
        position_embedding="none",
        norm="rms",
        norm_placement="pre",
        head_size=3,
    ),
    "sandwich": _point(
        norm_placement="sandwich",
        norm="rms",
        norm_zero_centered=True,
        query_key_norm="head",
        attention_scale=0.2,
        embedding_scale=4.0,
        embedding_norm=False,
        final_norm=True,
        gated=True,
    ),
    "sandwich, scaled residuals": _point(norm_placement="sandwich", residual_scale=1.5),
    "post-norm, scaled residuals": _point(residual_scale=0.5, norm_zero_centered=True),
    "causal": _point(attention_direction="causal"),
    "no bias of keys": _point(attention_key_bias=False),
    "no bias of the output": _point(attention_output_bias=False),
    "causal, rotary, shared keys": _point(
        attention_direction="causal",
        position_embedding="none",
        attention_positions="rotary",
        norm="rms",
        norm_placement="pre",
        num_heads=4,
        num_key_value_heads=2,
    ),
    "causal, relative": _point(attention_direction="causal", attention_positions="relative"),
    "causal, windows": _point(
        attention_direction="causal", windows=(None, 4, 0), num_heads=2, num_key_value_heads=1
    ),
    "convolution": _point(
        convolution_kernel_size=3, convolution_activation="tanh", attention_positions="relative"
    ),
    "convolution by group": _point(
        convolution_kernel_size=5, convolution_groups=4, convolution_activation="gelu_tanh"
    ),
    "convolution by channel, pre-norm": _point(
        convolution_kernel_size=7,
        convolution_groups=16,
        convolution_activation="relu",
        norm_placement="pre",
        final_norm=True,
        num_layers=1,
    ),
    "convolution of one position": _point(
        convolution_kernel_size=1, convolution_activation="silu", norm="rms", num_segments=2
    ),
    "experts": _point(num_experts=4, experts_per_token=2, expert_blocks=(1,)),
    "one expert each, pre-norm": _point(
        num_experts=5,
        experts_per_token=1,
        expert_blocks=(0, 1, 2),
        norm_placement="pre",
        activation="relu",
        feed_forward_bias=False,
    ),
    "all experts, shared blocks, sandwich": _point(
        num_experts=2,
        experts_per_token=2,
        expert_blocks=(0,),
        block_of_layer=(0, 0, 1),
        norm="rms",
        norm_placement="sandwich",
        residual_scale=0.7,
        activation="silu",
        d_ff=31,
    ),
    "no layers": _point(
        num_layers=0, num_heads=1, d_ff=1, position_embedding="none", embedding_norm=False
    ),
    "no layers, norms and a projection": _point(
        num_layers=0, embedding_size=6, num_segments=2, final_norm=True
    ),
    "one number wide": _point(num_heads=5, d_model=5, d_ff=1),
}

every_point = pytest.mark.parametrize("point", POINTS)


@dataclasses.dataclass
class Pair:
    """A backend, and the reference in float64 with the same weights."""

    backend: Backend
    oracle: ReferenceBackend


@pytest.fixture
def pair(
    make_backend: Callable[[EncoderConfig, Weights], Backend],
    point: str,
    make_weights: Callable[[EncoderConfig], Weights],
) -> Pair:
    config = POINTS[point]
    weights = make_weights(config)
    oracle = ReferenceBackend(config, weights, dtype=np.float64)
    return Pair(make_backend(config, weights), oracle)


ADDED_IDS = (1, 3)
"""Special tokens, which `mean_content` leaves out."""


def make_batch(config: EncoderConfig, lengths: tuple[int, ...], *, seed: int = 0) -> PackedBatch:
    """Random sequences; with a mask rule, masks among them and one sequence of nothing else."""
    rng = np.random.default_rng(seed)
    values: list[np.ndarray]
    if config.input == "vectors":
        values = [rng.standard_normal((n, config.num_channels)) for n in lengths]
    else:
        values = [rng.integers(0, config.vocab_size, n) for n in lengths]
    if config.rescaled_mask_token is not None:
        for sequence in values:
            sequence[rng.random(len(sequence)) < 0.3] = MASK
        values[len(values) // 2][:] = MASK
    content = None
    if config.input == "tokens":
        for sequence in values:
            if len(sequence) == 1:
                sequence[:] = ADDED_IDS[0]  # no content
        content = [~np.isin(sequence, ADDED_IDS) for sequence in values]
    if config.num_segments < 2:
        return PackedBatch.of(values, content=content)
    segments = [np.sort(rng.integers(0, config.num_segments, n)) for n in lengths]
    return PackedBatch.of(values, segments, content)


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, as a share of the largest expected number where that is not 0."""
    assert found.shape == expected.shape
    scale = np.abs(expected).max() or 1.0
    return float(np.abs(found - expected).max() / scale)


@every_point
def test_hidden_states_of_every_layer_equal_the_definition(pair: Pair) -> None:
    config = pair.oracle.config
    layers = range(config.num_layers + 1)
    for lengths in (LENGTHS, (1,), (5, MAX_LENGTH, 1, 5)):
        batch = make_batch(config, lengths)
        found = pair.backend.hidden_states(batch, layers)
        assert found.dtype == np.float32
        for layer, expected in zip(layers, pair.oracle.hidden_states(batch, layers), strict=True):
            assert error(found[layer], expected) < TOLERANCE, f"layer {layer}"


@pytest.mark.parametrize("point", [name for name, c in POINTS.items() if c.num_layers])
def test_attention_probabilities_equal_the_definition(pair: Pair) -> None:
    config = pair.oracle.config
    layers = range(config.num_layers)
    for length in (1, 2, 23, MAX_LENGTH):
        batch = make_batch(config, (length,))
        found = pair.backend.attention(batch, layers)
        expected = pair.oracle.attention(batch, layers)
        assert np.abs(found - expected).max() < TOLERANCE
        assert np.abs(found.sum(-1) - 1).max() < TOLERANCE
        assert (found[expected == 0] == 0).all()


@every_point
def test_every_pooling_mode_equals_the_definition(pair: Pair) -> None:
    modes = get_args(PoolingMode)
    for skip, lengths in ((0, LENGTHS), (3, (MAX_LENGTH, 9, 9, 4))):
        batch = make_batch(pair.oracle.config, lengths)
        found = pair.backend.pool(batch, modes, skip=skip)
        expected = pair.oracle.pool(batch, modes, skip=skip)
        assert found.dtype == np.float32
        for mode, a, b in zip(
            modes, np.split(found, len(modes), 1), np.split(expected, len(modes), 1), strict=True
        ):
            assert error(a, b) < TOLERANCE, mode


@every_point
def test_a_sequence_does_not_depend_on_its_neighbors(pair: Pair) -> None:
    config = pair.oracle.config
    batch = make_batch(config, LENGTHS)
    together = pair.backend.pool(batch, ["mean", "last"])
    values = batch.split(batch.values)
    segments = [None] * len(values) if batch.segments is None else batch.split(batch.segments)
    for index in range(len(LENGTHS)):
        one = PackedBatch.of([values[index]], [segments[index]])
        alone = pair.backend.pool(one, ["mean", "last"])[0]
        scale = max(np.abs(alone).max(), 1.0)
        assert np.abs(together[index] - alone).max() < NEIGHBOR_TOLERANCE * scale


def heads_of(config: EncoderConfig) -> tuple[Head, ...]:
    """One that pools, one for positions, and one that is tied where it can be."""
    dense = HeadLayer(
        name="heads.dense",
        outputs=config.embedding_width,
        activation=config.activation,
        norm="heads.norm",
        norm_bias=config.norm_bias,
    )
    last = HeadLayer(name="heads.classes", outputs=3, bias=False)
    heads = [
        Head(task="classes", layers=(dense, last), pooling="weighted_mean", labels=("a", "b", "c")),
        Head(task="tags", layers=(HeadLayer(name="heads.tags", outputs=4),), labels=tuple("abcd")),
    ]
    if config.input == "tokens":
        tied = HeadLayer(name="heads.tokens", outputs=config.vocab_size, tied=True)
        heads.append(Head(task="masked_tokens", layers=(dense, tied)))
    return tuple(heads)


@pytest.mark.skipif(not find_spec("onnxruntime"), reason="onnxruntime is not installed")
@every_point
def test_an_exported_graph_equals_the_definition(
    point: str, make_weights: Callable[..., dict[str, np.ndarray]], tmp_path: Path
) -> None:
    import onnxruntime

    config, heads = POINTS[point], heads_of(POINTS[point])
    rng = np.random.default_rng(9)
    shapes = {name: s for head in heads for name, s in head_layout(head, config).items()}
    weights = make_weights(config)
    folder = ModelBundle.of(
        ModelSpec(
            config=config,
            pooling=Pooling(get_args(PoolingMode)),
            heads=heads,
            max_length=config.max_length,
        ),
        {
            **weights,
            **{name: rng.standard_normal(s, dtype=np.float32) for name, s in shapes.items()},
        },
        path=tmp_path,
    )
    write_onnx(tmp_path, folder, ADDED_IDS if config.input == "tokens" else ())
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    oracle = ReferenceBackend(config, weights, dtype=np.float64)
    for lengths in (LENGTHS, (1,), (7, 7)):
        batch = make_batch(config, lengths)
        names = ["last_hidden_state", "sentence_embedding", *output_names(heads).values()]
        found = dict(zip(names, session.run(names, padded(config, batch)), strict=True))
        (states,) = oracle.hidden_states(batch, [config.num_layers])
        pooled = oracle.pool(batch, get_args(PoolingMode))
        assert error(found["sentence_embedding"], pooled) < TOLERANCE
        arrays = folder.all_weights
        for i, x_LD in enumerate(batch.split(states)):
            real = slice(0, lengths[i])
            assert error(found["last_hidden_state"][i, real], x_LD) < TOLERANCE
            for head in heads:
                logits = found[output_names(heads)[head.task]][i]
                ours = logits if head.pooling else logits[real]
                assert error(ours, head_outputs(x_LD, arrays, head)) < TOLERANCE, head.task


def padded(config: EncoderConfig, batch: PackedBatch) -> dict[str, np.ndarray]:
    """The inputs of a graph, with anything for padding."""
    rng = np.random.default_rng(3)
    shape = (len(batch.lengths), int(batch.lengths.max()))
    mask = (np.arange(shape[1]) < batch.lengths[:, None]).astype(np.int64)
    values: np.ndarray = rng.integers(0, max(config.vocab_size, 1), shape)
    if config.input == "vectors":
        values = rng.standard_normal((*shape, config.num_channels), dtype=np.float32)
    values[mask == 1] = batch.values
    inputs = {"input_ids" if config.input == "tokens" else "values": values}
    if config.num_segments > 1:
        segments = np.zeros(shape, np.int64)
        if batch.segments is not None:
            segments[mask == 1] = batch.segments
        inputs["token_type_ids"] = segments
    return inputs | {"attention_mask": mask}


def test_the_points_cover_every_variant() -> None:
    for name, choices in literal_fields(EncoderConfig).items():
        assert {getattr(point, name) for point in POINTS.values()} == set(choices)


def test_every_literal_of_the_config_is_a_field() -> None:
    literals = {value for value in vars(variants).values() if getattr(value, "__args__", None)}
    fields = {field.type for field in dataclasses.fields(EncoderConfig)}
    assert literals == fields & literals
    assert len(literals) == len(literal_fields(EncoderConfig)) == len(variants.__all__)


def test_the_points_combine_all_positions() -> None:
    """What is added to the embeddings and what attention does are independent of each other."""
    pairs = {(p.position_embedding, p.attention_positions) for p in POINTS.values()}
    every = literal_fields(EncoderConfig)
    assert pairs == set(
        itertools.product(every["position_embedding"], every["attention_positions"])
    )


def test_the_points_leave_no_field_at_its_default() -> None:
    only_in_training = {"dropout", "attention_dropout"}
    for field in dataclasses.fields(EncoderConfig):
        if field.name not in only_in_training:
            values = {getattr(point, field.name) for point in POINTS.values()}
            assert values - {field.default}, field.name
