"""The activation that a `CrossEncoder` applies to the outputs of its head."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bothways.drop_in.tensors import import_torch
from bothways.errors import InputError
from bothways.io.json_files import read_optional_object
from bothways.reference.heads import probabilities

__all__ = ["activate_scores", "default_activation", "identity", "sigmoid", "softmax"]


def identity(scores: np.ndarray) -> np.ndarray:
    """The scores as they are."""
    return scores


def sigmoid(scores: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-score))."""
    return np.asarray(probabilities(scores, "multilabel"), np.float32)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities over the outputs of each row."""
    return np.asarray(probabilities(scores, "classes"), np.float32)


_BY_NAME = {"Identity": identity, "Sigmoid": sigmoid}
"""Class of `torch.nn` that a folder names, and the function that computes it."""


def default_activation(folder: Path, num_labels: int) -> Callable[..., Any]:
    """The activation that a model folder names, or else the sigmoid of one output.

    sentence-transformers 6 writes it into config_sentence_transformers.json, and earlier releases
    into config.json.

    Raises:
        InputError: if the folder names another activation than the identity and the sigmoid.
    """
    config = read_optional_object(folder / "config.json")
    releases_4_and_5 = config.get("sentence_transformers")
    places = (
        read_optional_object(folder / "config_sentence_transformers.json").get("activation_fn"),
        releases_4_and_5.get("activation_fn") if isinstance(releases_4_and_5, dict) else None,
        config.get("sbert_ce_default_activation_function"),  # of releases 2 and 3
    )
    named = next((name for name in places if name is not None), None)
    if named is None:
        return sigmoid if num_labels == 1 else identity
    name = str(named).rpartition(".")[2]
    if not str(named).startswith("torch.nn.") or name not in _BY_NAME:
        raise InputError(
            f"{folder}: the model's activation is {named!r}; bothways has "
            "torch.nn.Identity and torch.nn.Sigmoid: pass another one as `activation_fn`"
        )
    return _BY_NAME[name]


def activate_scores(scores: np.ndarray, activation: Callable[..., Any]) -> np.ndarray:
    """The activation of scores, float32; one of torch's, or the user's, is called with a tensor.

    Raises:
        MissingExtra: if it needs torch, and torch is not installed.
    """
    if activation in _BY_NAME.values():
        return np.asarray(activation(scores))
    torch = import_torch("activation_fn")
    with torch.inference_mode():
        activated = activation(torch.from_numpy(scores))
    return np.asarray(activated.float().cpu().numpy())
