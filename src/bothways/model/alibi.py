"""The slopes of linear biases (ALiBi; Press et al. 2022, section 3)."""

__all__ = ["alibi_slopes"]


def alibi_slopes(num_heads: int) -> tuple[float, ...]:
    """How much the score of each head falls per position of distance, `num_heads` of them.

    For a power of 2, n, the slopes are 2^(-8 i / n) for i = 1 to n. Other numbers of heads take
    those of the power of 2 below them, then every second slope of the power above (the paper's
    code).

    >>> alibi_slopes(3)
    (0.0625, 0.00390625, 0.25)
    """
    below = 1 << (num_heads.bit_length() - 1)
    between = _powers(2 * below)[::2]
    return _powers(below) + between[: num_heads - below]


def _powers(n: int) -> tuple[float, ...]:
    return tuple(2.0 ** (-8 * i / n) for i in range(1, n + 1))
