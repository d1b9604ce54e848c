"""Which rows are held out: by seed and share, and never a sequence on both sides.

n rows; G groups of rows that stay together.
"""

import numpy as np

from bothways.errors import DataFileError
from bothways.training.data.survey import Survey

__all__ = ["DEFAULT_HELD_OUT_SHARE", "MAX_HELD_OUT_ROWS", "choose_held_out"]

DEFAULT_HELD_OUT_SHARE = 0.1
"""Of rows held out where the user does not say."""

MAX_HELD_OUT_ROWS = 10_000
"""Held out where the user does not say: enough for a figure to half a per cent, soon computed."""

_SPLIT = 5
"""Stream of chance, apart from those of the loop."""


def choose_held_out(survey: Survey, *, share: float | None, seed: int, name: str) -> np.ndarray:
    """Which rows are held out to validate on, bool (n,).

    share: of the rows; None for a tenth, of at most 10,000. 0 for none.
    name: of the data, for messages.

    Rows with equal keys go to the same side. Of each class the same share is held out, at least one
    row, and one is left: as near as groups allow.

    Raises:
        DataFileError: if all rows belong to one group.
    """
    num_rows = survey.num_rows
    held_out_n = np.zeros(num_rows, dtype=bool)
    if share == 0:
        return held_out_n
    if share is None:
        share = min(DEFAULT_HELD_OUT_SHARE, MAX_HELD_OUT_ROWS / num_rows)
    group_n = _groups(survey.keys)
    num_groups = int(group_n.max()) + 1
    if num_groups == 1:
        raise DataFileError(
            f"{name}: all {num_rows} rows have the same sequence or group, so none can be held "
            "out; give --validation FILE, or --held-out 0 to train without"
        )
    order_g = np.random.default_rng([seed, _SPLIT]).permutation(num_groups)
    sizes_g = np.bincount(group_n, minlength=num_groups)
    # A group is of the class of its first row.
    class_g = np.zeros(num_groups, dtype=np.int64)
    if survey.classes is not None:
        class_g[group_n[::-1]] = survey.classes[::-1]
    chosen_g = np.zeros(num_groups, dtype=bool)
    for label in np.unique(class_g):
        candidates = order_g[class_g[order_g] == label]
        chosen_g[_take(candidates, sizes_g, share)] = True
    held_out_n[:] = chosen_g[group_n]
    return held_out_n


def _take(groups: np.ndarray, sizes_g: np.ndarray, share: float) -> np.ndarray:
    """The first of these groups that have together about `share` of the rows, and not all."""
    wanted = max(share * sizes_g[groups].sum(), 1.0)
    is_large = sizes_g[groups] > 2 * wanted  # these last, lest one alone be far too much
    groups = np.concatenate([groups[~is_large], groups[is_large]])
    rows = np.cumsum(sizes_g[groups])
    # Up to where one more group would be further off.
    count = int(np.searchsorted(rows - sizes_g[groups] / 2, wanted, side="left"))
    return groups[: min(max(count, 1), len(groups) - 1)]


def _groups(keys: np.ndarray) -> np.ndarray:
    """The group of each row, int64 (n,), counted from 0: rows that share a key in any column.

    With two columns, rows are edges between keys and groups are the connected components: each key
    takes the smallest component of its neighbors until none changes, and skips ahead by following
    its component's own (Shiloach and Vishkin 1982).
    """
    _, key_nl = np.unique(keys, return_inverse=True)
    key_nl = key_nl.reshape(keys.shape)
    component = np.arange(int(key_nl.max()) + 1)
    while True:
        smallest_n = component[key_nl].min(axis=1)
        merged = component.copy()
        for column in key_nl.T:
            np.minimum.at(merged, column, smallest_n)
            np.minimum.at(merged, component[column], smallest_n)
        merged = merged[merged]
        if np.array_equal(merged, component):
            break
        component = merged
    _, group_n = np.unique(component[key_nl[:, 0]], return_inverse=True)
    return group_n.reshape(-1)
