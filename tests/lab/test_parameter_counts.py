from torch import nn

from bothways.lab.parameter_counts import ParameterCounts


class ToyModel(nn.Module):
    """An encoder with 12 parameters and a head with 8."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(3, 3)
        self.head = nn.Linear(3, 2)


def test_encoder_and_head_are_counted_separately() -> None:
    assert ParameterCounts.of(ToyModel()) == ParameterCounts(encoder=12, head=8)
