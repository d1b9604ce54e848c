from collections.abc import Callable

import numpy as np

from bothways.model.config import EncoderConfig
from bothways.reference import encode, normalize


def _config(**fields: object) -> EncoderConfig:
    sizes = {"num_layers": 3, "num_heads": 2, "d_model": 8, "d_ff": 12, "vocab_size": 20}
    return EncoderConfig(**sizes | fields)  # type: ignore[arg-type]


def test_there_is_a_hidden_state_for_the_embeddings_and_each_layer(
    make_weights: Callable[..., dict[str, np.ndarray]],
) -> None:
    config = _config()
    encoded = encode(np.arange(5), make_weights(config), config)
    assert [x.shape for x in encoded.hidden_states] == [(5, 8)] * 4
    assert [prob.shape for prob in encoded.probabilities] == [(2, 5, 5)] * 3


def test_the_final_norm_is_applied_only_to_the_last_hidden_state(
    make_weights: Callable[..., dict[str, np.ndarray]],
) -> None:
    with_norm = _config(final_norm=True)
    weights = make_weights(with_norm)
    found = encode(np.arange(5), weights, with_norm).hidden_states
    plain = encode(np.arange(5), weights, _config()).hidden_states
    for a, b in zip(found[:-1], plain[:-1], strict=True):
        assert (a == b).all()
    assert (found[-1] == normalize(plain[-1], weights, "final_norm", with_norm)).all()


def test_layers_that_share_a_block_equal_layers_with_equal_weights(
    make_weights: Callable[..., dict[str, np.ndarray]],
) -> None:
    shared = _config(block_of_layer=(0, 0, 0))
    weights = make_weights(shared)
    copies = {
        name.replace("blocks.0.", f"blocks.{block}."): array
        for name, array in weights.items()
        for block in range(3)
    }
    a = encode(np.arange(5), weights, shared).hidden_states[-1]
    b = encode(np.arange(5), copies, _config()).hidden_states[-1]
    assert (a == b).all()


def test_what_is_seen_grows_by_a_window_with_each_layer(
    make_weights: Callable[..., dict[str, np.ndarray]],
) -> None:
    config = _config(windows=(2, 2, 2), position_embedding="none")
    weights = make_weights(config)
    ids = np.zeros(20, dtype=np.int64)
    changed = ids.copy()
    changed[10] = 7
    a, b = (encode(x, weights, config).hidden_states for x in (ids, changed))
    for layer in range(4):
        differs = np.flatnonzero((a[layer] != b[layer]).any(-1))
        assert differs.tolist() == list(range(10 - 2 * layer, 10 + 2 * layer + 1))
