import numpy as np
import torch

from bothways.model.rotary import Rotation
from bothways.nn import Lengths
from bothways.nn.lengths import LengthGroup


def test_neighbors_of_equal_length_are_one_run() -> None:
    lengths = Lengths([5, 5, 3, 5, 1, 1])
    assert lengths.groups == (
        LengthGroup(0, 2, 5),
        LengthGroup(10, 1, 3),
        LengthGroup(13, 1, 5),
        LengthGroup(18, 2, 1),
    )
    assert [group.tokens for group in lengths.groups][-1] == slice(18, 20)


def test_positions_count_from_the_start_of_each_sequence() -> None:
    lengths = Lengths(np.array([3, 1, 2]))
    assert lengths.position_T.tolist() == [0, 1, 2, 0, 0, 1]
    assert lengths.bounds.tolist() == [0, 3, 4, 6]
    assert lengths.bounds.dtype == torch.int32
    assert lengths.per_token(torch.tensor([7, 8, 9])).tolist() == [7, 7, 7, 8, 9, 9]


def test_rotary_tables_are_computed_once_for_each_set_of_frequencies() -> None:
    lengths = Lengths([4, 2])
    cos, sin = lengths.rotary(Rotation((1.0, 0.5)), torch.float64)
    assert cos.shape == (6, 1, 2)
    angle = torch.tensor([0.0, 1, 2, 3, 0, 1], dtype=torch.float64)
    assert torch.equal(cos[:, 0, 0], torch.cos(angle))
    assert torch.equal(sin[:, 0, 1], torch.sin(angle / 2))
    assert lengths.rotary(Rotation((1.0, 0.5)), torch.float64)[0] is cos
    assert lengths.rotary(Rotation((1.0, 0.25)), torch.float64)[0] is not cos
    assert lengths.rotary(Rotation((1.0, 0.5)), torch.float32)[0].dtype == torch.float32


def test_rotary_tables_stay_precise_at_far_positions() -> None:
    frequency = 10_000.0 ** (-2 / 64)
    cos, _ = Lengths([8192]).rotary(Rotation((frequency,)), torch.float32)
    assert abs(float(cos[-1, 0, 0]) - np.cos(8191 * frequency)) < np.finfo(np.float32).eps
