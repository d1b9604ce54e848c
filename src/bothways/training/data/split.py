"""The split into training and held-out rows; no sequence is on both sides.

n rows; G groups of rows that stay together.
"""

import numpy as np

from bothways.errors import DataFileError
from bothways.training.data.survey import Survey

__all__ = ["DEFAULT_HELD_OUT_SHARE", "MAX_HELD_OUT_ROWS", "choose_folds", "choose_held_out"]

DEFAULT_HELD_OUT_SHARE = 0.1
"""Fraction of rows held out by default."""

MAX_HELD_OUT_ROWS = 10_000
"""Largest default number of held-out rows: enough for metrics within half a percent."""

_SPLIT, _FOLDS = 5, 6
"""Random streams of the split and of folds; the loop's streams are in `engine.rng`."""


def choose_held_out(survey: Survey, *, fraction: float | None, seed: int, name: str) -> np.ndarray:
    """Choose the rows held out for validation, bool (n,).

    fraction: of the rows; None for 0.1, but at most 10,000 rows. 0 for none.
    name: of the data, for messages.

    Rows with equal keys stay on one side. The split is stratified: the same fraction of each class
    is held out, at least one row but not all, as closely as groups allow.

    Raises:
        DataFileError: if all rows belong to one group.
    """
    num_rows = survey.num_rows
    held_out_n = np.zeros(num_rows, dtype=bool)
    if fraction == 0:
        return held_out_n
    if fraction is None:
        fraction = min(DEFAULT_HELD_OUT_SHARE, MAX_HELD_OUT_ROWS / num_rows)
    group_n = _groups(survey.keys)
    num_groups = int(group_n.max()) + 1
    if num_groups == 1:
        raise DataFileError(
            f"{name}: all {num_rows} rows have the same sequence or group, so none can be held "
            "out; give --validation FILE, or --held-out 0 for no validation"
        )
    order_g = np.random.default_rng([seed, _SPLIT]).permutation(num_groups)
    sizes_g = np.bincount(group_n, minlength=num_groups)
    class_g = _class_of_group(survey, group_n, num_groups)
    chosen_g = np.zeros(num_groups, dtype=bool)
    for label in np.unique(class_g):
        candidates = order_g[class_g[order_g] == label]
        chosen_g[_take(candidates, sizes_g, fraction)] = True
    held_out_n[:] = chosen_g[group_n]
    return held_out_n


def choose_folds(survey: Survey, *, folds: int, seed: int, name: str) -> np.ndarray:
    """The fold of each row, from 0, int64 (n,): each row is in the test part of one fold.

    Rows with equal keys are in one fold, and classes are spread evenly, as closely as groups allow.
    name: of the data, for messages.

    Raises:
        DataFileError: if there are fewer groups than folds.
    """
    group_n = _groups(survey.keys)
    num_groups = int(group_n.max()) + 1
    if num_groups < folds:
        raise DataFileError(
            f"{name}: {num_groups} different sequences or groups cannot be divided into {folds} "
            f"folds; use --folds {max(num_groups, 2)} or fewer, or add rows"
        )
    order_g = np.random.default_rng([seed, _FOLDS]).permutation(num_groups)
    sizes_g = np.bincount(group_n, minlength=num_groups)
    class_g = _class_of_group(survey, group_n, num_groups)
    fold_g = np.zeros(num_groups, dtype=np.int64)
    rows = np.zeros(folds)
    for label in np.unique(class_g):
        of_class = np.zeros(folds)
        for group in order_g[class_g[order_g] == label].tolist():
            # the fold with the fewest rows of the class, then with the fewest rows
            fold = int(np.lexsort((rows, of_class))[0])
            fold_g[group] = fold
            rows[fold] += sizes_g[group]
            of_class[fold] += sizes_g[group]
    return np.asarray(fold_g[group_n])


def _class_of_group(survey: Survey, group_n: np.ndarray, num_groups: int) -> np.ndarray:
    """The class of each group's first row, int64 (G,); 0 without classes."""
    class_g = np.zeros(num_groups, dtype=np.int64)
    if survey.classes is not None:
        class_g[group_n[::-1]] = survey.classes[::-1]
    return class_g


def _take(groups: np.ndarray, sizes_g: np.ndarray, fraction: float) -> np.ndarray:
    """The first groups that together have about `fraction` of the rows, but not all groups."""
    wanted = max(fraction * sizes_g[groups].sum(), 1.0)
    is_large = sizes_g[groups] > 2 * wanted  # last: one alone may be far too much
    groups = np.concatenate([groups[~is_large], groups[is_large]])
    rows = np.cumsum(sizes_g[groups])
    # Stop where one more group would be further from the wanted number.
    count = int(np.searchsorted(rows - sizes_g[groups] / 2, wanted, side="left"))
    return groups[: min(max(count, 1), len(groups) - 1)]


def _groups(keys: np.ndarray) -> np.ndarray:
    """The group of each row, int64 (n,), from 0: rows that share a key in any column.

    Rows are edges between keys, and groups are the connected components. Each key takes the
    smallest component of its neighbors until none changes, with pointer jumping (Shiloach and
    Vishkin 1982).
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
