import pytest
import torch
from torch.nn import functional

from bothways.nn import Lengths
from bothways.nn.neighbors import neighbors


@pytest.mark.parametrize("dilation", [1, 2, 4, 16])
def test_neighbors_belong_to_the_same_sequence(dilation: int) -> None:
    x_TE = torch.arange(1.0, 10.0)[:, None]
    seen_TS = neighbors(x_TE, Lengths([5, 1, 3]), [-dilation, 0, dilation])
    expected = []
    for sequence in ([1, 2, 3, 4, 5], [6], [7, 8, 9]):
        for place, own in enumerate(sequence):
            around = [
                sequence[at] if 0 <= at < len(sequence) else 0
                for at in (place - dilation, place + dilation)
            ]
            expected.append([around[0], own, around[1]])
    assert seen_TS.tolist() == expected


def test_a_linear_map_of_neighbors_is_torchs_dilated_convolution() -> None:
    torch.manual_seed(0)
    x_TE, weight_WEK = torch.randn(11, 3), torch.randn(4, 3, 3)
    seen_TS = neighbors(x_TE, Lengths([11]), [-2, 0, 2])
    own_TW = functional.linear(seen_TS, weight_WEK.transpose(1, 2).flatten(1))
    torchs_WT = functional.conv1d(x_TE.T[None], weight_WEK, padding=2, dilation=2)[0]
    torch.testing.assert_close(own_TW, torchs_WT.T)
