import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bothways.model.config import EncoderConfig
from bothways.nn import Lengths, TransformerEncoder, attend, kernels
from bothways.nn.kernels import DENSE_SCORES, WINDOW_CHUNK, choose_kernel, chunks
from bothways.nn.positions import bias_by_distance
from bothways.reference.attention import scaled_dot_product
from bothways.reference.positions import bias_by_distance as reference_bias_by_distance

ROUNDING = 1e-12
"""float64: softmax and a weighted sum of a few hundred numbers near 1."""
FLOAT32_ROUNDING = 2e-6
"""The same in float32."""
LINEAR = 2.2
"""Twice the length may take twice the memory, and a little; length squared would be 4 times."""

RELATIVE = EncoderConfig(
    num_layers=1,
    num_heads=2,
    d_model=8,
    d_ff=8,
    vocab_size=2,
    position_embedding="none",
    attention_positions="relative",
)


def make_qkv(
    num_tokens: int, dtype: torch.dtype = torch.float64, width: int = 4
) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(num_tokens)
    q, k, v = torch.randn(3, num_tokens, 2, width, dtype=dtype)
    return 2 * q, k, v


def defined(
    q: Tensor, k: Tensor, v: Tensor, window: int | None, bias: Tensor | None = None
) -> Tensor:
    """Attention of one sequence by the reference, (L, H, K) in and out."""
    mixed_HLK: Tensor
    mixed_HLK, _ = scaled_dot_product(
        q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1), bias, window=window
    )
    return mixed_HLK.transpose(0, 1)


@pytest.mark.parametrize("window", [None, 0, 1, 31, 32, 33, 64, 127, 128, 129, 255, 256, 299])
def test_every_length_up_to_300_equals_the_definition(window: int | None) -> None:
    """Around each window and each boundary of a chunk, in a batch and at its edges."""
    for length in range(1, 301):
        lengths = Lengths([3, length, length, 1] if length % 25 == 0 else [length])
        q, k, v = make_qkv(lengths.num_tokens)
        found = attend(q, k, v, lengths, window=window)
        assert torch.isfinite(found).all()
        start = 0
        for each in lengths.each:
            part = slice(start, start + each)
            expected = defined(q[part], k[part], v[part], window)
            assert (found[part] - expected).abs().max() < ROUNDING, (length, each)
            start += each


@pytest.mark.parametrize("window", [None, 0, 5, 128, 200, 270])
@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 257, 300, 511, 512, 513, 600])
def test_a_bias_by_distance_equals_the_definition(length: int, window: int | None) -> None:
    lengths = Lengths([601, length, length])  # the bias reaches farther than the sequence
    q, k, v = make_qkv(lengths.num_tokens)
    table = torch.randn(RELATIVE.relative_buckets, 2, dtype=torch.float64)
    found = attend(q, k, v, lengths, bias_by_distance(table, 601, RELATIVE), window=window)
    bias = reference_bias_by_distance(table, length, RELATIVE)
    part = slice(601, 601 + length)
    expected = defined(q[part], k[part], v[part], window, bias)
    assert (found[part] - expected).abs().max() < ROUNDING


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("window", [None, 5, 128])
@pytest.mark.parametrize("length", [1, 64, 300, 600])
@pytest.mark.parametrize("has_bias", [False, True])
def test_shared_keys_and_causal_attention_equal_the_definition(
    length: int, window: int | None, is_causal: bool, has_bias: bool
) -> None:
    lengths = Lengths([3, length, length])
    torch.manual_seed(length)
    q = torch.randn(lengths.num_tokens, 4, 4, dtype=torch.float64)
    k, v = torch.randn(2, lengths.num_tokens, 2, 4, dtype=torch.float64)
    table = torch.randn(RELATIVE.relative_buckets, 4, dtype=torch.float64)
    by_distance = bias_by_distance(table, lengths.longest, RELATIVE) if has_bias else None
    bias = reference_bias_by_distance(table, length, RELATIVE) if has_bias else None
    found = attend(q, k, v, lengths, by_distance, window=window, is_causal=is_causal)
    part = slice(3, 3 + length)
    expected, _ = scaled_dot_product(
        q[part].transpose(0, 1),
        k[part].repeat_interleave(2, 1).transpose(0, 1),
        v[part].repeat_interleave(2, 1).transpose(0, 1),
        bias,
        window=window,
        attention_direction="causal" if is_causal else "both",
    )
    assert (found[part] - expected.transpose(0, 1)).abs().max() < ROUNDING


@pytest.mark.parametrize("window", [None, 0, 64, 300])
def test_float32_is_as_precise_as_float32_can_be(window: int | None) -> None:
    lengths = Lengths([700, 44, 44])
    q, k, v = make_qkv(lengths.num_tokens)
    found = attend(q.float(), k.float(), v.float(), lengths, window=window)
    expected = defined(q[:700], k[:700], v[:700], window)
    assert (found[:700] - expected).abs().max() < FLOAT32_ROUNDING


@pytest.mark.parametrize("length", [1, 5, 64, 300, 513, 8192])
@pytest.mark.parametrize("window", [None, 0, 1, 40, 256, 5000])
@pytest.mark.parametrize("dense", [False, True])
def test_chunks_cover_each_query_once_and_every_key_it_sees(
    length: int, window: int | None, dense: bool
) -> None:
    found = list(chunks(length, window, dense))
    queries = [q for chunk in found for q in range(chunk.first_query, chunk.end_query)]
    assert queries == list(range(length))
    reach = length if window is None else window
    for chunk in found:
        assert chunk.first_key == max(0, chunk.first_query - reach)
        assert chunk.end_key == min(length, chunk.end_query + reach)
        if dense:
            assert (chunk.end_query - chunk.first_query) * length <= DENSE_SCORES
        if window is not None:
            assert chunk.end_query - chunk.first_query <= WINDOW_CHUNK[1]


@pytest.mark.parametrize("kind", ["plain", "window", "bias", "dropout", "bias and window"])
def test_memory_grows_with_the_length_not_with_its_square(
    kind: str, peak_bytes: Callable[[Callable[[], object]], int]
) -> None:
    table = torch.zeros(RELATIVE.relative_buckets, 2, requires_grad=True)

    def forward_and_backward(length: int) -> None:
        q, k, v = make_qkv(length, torch.float32, width=16)
        window = 64 if "window" in kind else None
        bias = bias_by_distance(table, length, RELATIVE) if "bias" in kind else None
        q.requires_grad_()
        dropout = 0.1 if kind == "dropout" else 0.0
        mixed = attend(q, k, v, Lengths([length]), bias, window=window, dropout=dropout)
        torch.autograd.backward(mixed.sum())

    peaks = {n: peak_bytes(lambda n=n: forward_and_backward(n)) for n in (2048, 4096, 8192)}  # type: ignore[misc]
    assert peaks[4096] < LINEAR * peaks[2048]
    assert peaks[8192] < LINEAR * peaks[4096]
    assert peaks[8192] < 8192 * 8192 * 4  # the probabilities of one of the two heads


@pytest.mark.parametrize("window", [None, 0, 2, 5, 39, 100])
@pytest.mark.parametrize("with_bias", [False, True])
def test_in_training_results_and_gradients_equal_the_definition_s(
    window: int | None, with_bias: bool
) -> None:
    """Of groups that are taken together, and of those that a window or a bias sets apart."""
    lengths = Lengths([40, 40, 7, 6, 6, 1, 30])
    qkv = make_qkv(lengths.num_tokens)
    table = torch.randn(RELATIVE.relative_buckets, 2, dtype=torch.float64)
    weight = torch.randn_like(qkv[0])
    for x in (*qkv, table):
        x.requires_grad_()
    bias = bias_by_distance(table, lengths.longest, RELATIVE) if with_bias else None
    found = attend(*qkv, lengths, bias, window=window)
    expected = []
    for group in lengths.groups:
        own = reference_bias_by_distance(table, group.length, RELATIVE) if with_bias else None
        for start in range(group.start, group.tokens.stop, group.length):
            q, k, v = (x[start : start + group.length] for x in qkv)
            expected.append(defined(q, k, v, window, own))
    wanted = (*qkv, table) if with_bias else qkv
    gradients = torch.autograd.grad((found * weight).sum(), wanted)
    theirs = torch.autograd.grad((torch.cat(expected) * weight).sum(), wanted)
    assert (found - torch.cat(expected)).abs().max() < ROUNDING
    for mine, other in zip(gradients, theirs, strict=True):
        assert (mine - other).abs().max() < ROUNDING * lengths.num_tokens


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dropout_is_the_same_with_and_without_a_gradient(
    window: int | None, dtype: torch.dtype
) -> None:
    """Gradient caching computes a batch without one first, and then with one."""
    lengths = Lengths([530, 40, 40, 3])
    qkv = make_qkv(lengths.num_tokens, dtype)
    torch.manual_seed(0)
    with torch.no_grad():
        first = attend(*qkv, lengths, window=window, dropout=0.5)
    torch.manual_seed(0)
    for x in qkv:
        x.requires_grad_()
    second = attend(*qkv, lengths, window=window, dropout=0.5)
    assert torch.equal(first == 0, second == 0)
    tolerance = ROUNDING if dtype == torch.float64 else FLOAT32_ROUNDING
    assert (first - second).abs().max() < tolerance


@pytest.mark.parametrize("length", [40, 600])
def test_dropout_zeroes_its_share_of_probabilities_and_scales_the_rest(length: int) -> None:
    """Values that are rows of the identity make the output the probabilities themselves."""
    lengths = Lengths([length])
    q, k, _ = make_qkv(length)
    v = torch.eye(length, dtype=torch.float64)[:, None].expand(-1, 2, -1)
    q, k = (torch.nn.functional.pad(x, (0, length - 4)) for x in (q, k))
    prob = attend(q, k, v, lengths)
    dropped = attend(q, k, v, lengths, dropout=0.25)
    kept = dropped != 0
    assert abs(float(kept.double().mean()) - 0.75) < 0.02  # 3,200 draws at least
    assert torch.allclose(dropped[kept], prob[kept] / 0.75, rtol=ROUNDING, atol=0)


def test_the_gradient_of_a_long_sequence_is_of_the_same_dropout() -> None:
    """Chunks are computed anew for the gradient: they must drop the same probabilities."""
    length = 530  # two chunks
    q, k, _ = make_qkv(length)
    q, k = (torch.nn.functional.pad(x, (0, length - 4)) for x in (q, k))
    v = torch.eye(length, dtype=torch.float64)[:, None].repeat(1, 2, 1).requires_grad_()
    dropped = attend(q, k, v, Lengths([length]), dropout=0.25)
    weight = torch.randn_like(dropped)
    torch.autograd.backward((dropped * weight).sum())
    assert v.grad is not None
    expected = torch.einsum("lhm,lhk->mhk", dropped.detach(), weight)
    assert (v.grad - expected).abs().max() < ROUNDING * length


def test_the_kernel_for_whole_batches_is_chosen_if_supported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))
    monkeypatch.setattr(kernels, "has_varlen_kernel", lambda: True)
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    for dtype, width, bias, dropout in itertools.product(
        (torch.float16, torch.bfloat16, torch.float32),
        (32, 256, 36, 264),
        (False, True),
        (0.0, 0.1),
    ):
        fits = dtype != torch.float32 and width in (32, 256) and not bias and not dropout
        assert choose_kernel(gpu, dtype, width, bias, dropout) == (
            "varlen" if fits else "by_length"
        )
        assert choose_kernel(cpu, dtype, width, bias, dropout) == "by_length"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert choose_kernel(gpu, torch.float16, 32, False, 0.0) == "by_length"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))
    monkeypatch.setattr(kernels, "has_varlen_kernel", lambda: False)  # an older torch
    assert choose_kernel(gpu, torch.float16, 32, False, 0.0) == "by_length"


needs_varlen_kernel = pytest.mark.skipif(
    not kernels.has_varlen_kernel(), reason="this version of torch has no kernel for whole batches"
)


@needs_varlen_kernel
@pytest.mark.parametrize("window", [None, 0, 5])
def test_the_kernel_for_whole_batches_gets_bounds_and_window(
    monkeypatch: pytest.MonkeyPatch, window: int | None
) -> None:
    """By a stand-in that computes from its arguments alone what the kernel documents."""

    def varlen(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        queries: Tensor,
        keys: Tensor,
        most_queries: int,
        most_keys: int,
        *,
        window_size: tuple[int, int],
        num_splits: int,
        enable_gqa: bool,
    ) -> Tensor:
        assert enable_gqa == (k.shape[1] < q.shape[1])
        assert queries.dtype == keys.dtype == torch.int32
        assert (most_queries, most_keys, num_splits) == (30, 30, 1)
        assert window_size == ((-1, -1) if window is None else (window, window))
        bounds = list(itertools.pairwise(queries.tolist()))
        return torch.cat([defined(q[a:b], k[a:b], v[a:b], window) for a, b in bounds])

    lengths = Lengths([30, 30, 7, 1])
    q, k, v = make_qkv(lengths.num_tokens)
    by_runs = attend(q, k, v, lengths, window=window)
    monkeypatch.setattr(kernels, "choose_kernel", lambda *_: "varlen")
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", varlen)
    assert (attend(q, k, v, lengths, window=window) - by_runs).abs().max() < ROUNDING


@needs_varlen_kernel
@pytest.mark.parametrize("window", [None, 5])
def test_the_kernel_for_whole_batches_takes_the_call_and_has_a_gradient(
    monkeypatch: pytest.MonkeyPatch, window: int | None
) -> None:
    """torch's own, on tensors without memory: their shapes and types are checked, no GPU needed."""
    monkeypatch.setattr(kernels, "choose_kernel", lambda *_: "varlen")
    config = EncoderConfig(
        num_layers=2,
        num_heads=2,
        d_model=32,
        d_ff=64,
        vocab_size=20,
        position_embedding="none",
        attention_positions="rotary",
        windows=(None, window),
    )
    encoder = TransformerEncoder(config).to(torch.bfloat16).to("meta")
    lengths = Lengths([30, 30, 7, 1], "meta")
    (x_TD,) = encoder(torch.zeros(68, dtype=torch.int64, device="meta"), lengths)
    assert x_TD.shape == (68, 32)
    assert x_TD.dtype == torch.bfloat16
    torch.autograd.backward(x_TD.sum())
    assert all(weight.grad is not None for weight in encoder.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("window", [None, 0, 5, 64])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_kernel_for_whole_batches_equals_the_definition(
    dtype: torch.dtype, window: int | None
) -> None:
    lengths = Lengths([300, 65, 65, 5, 1], "cuda")
    q, k, v = (x.to("cuda", dtype) for x in make_qkv(lengths.num_tokens, width=32))
    assert choose_kernel(q.device, dtype, 32, False, 0.0) == "varlen"
    found = attend(q, k, v, lengths, window=window)
    start = 0
    for each in lengths.each:
        part = slice(start, start + each)
        expected = defined(q[part].double(), k[part].double(), v[part].double(), window)
        assert (found[part] - expected).abs().max() < 4 * torch.finfo(dtype).eps
        start += each
