import torch

from bothways.training.objectives.arrays import at_least_float32, to_array


def test_half_precision_is_widened_and_double_is_kept() -> None:
    for given, expected in [
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ]:
        assert at_least_float32(torch.ones(1, dtype=given)).dtype == expected


def test_arrays_are_detached() -> None:
    tensor = torch.ones(2, requires_grad=True) * 2
    assert to_array(tensor).tolist() == [2, 2]
