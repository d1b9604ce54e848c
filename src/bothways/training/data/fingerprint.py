"""A fingerprint of a dataset, computed from its lengths and some of its examples."""

import hashlib

import numpy as np

from bothways.training.data.dataset import Dataset

__all__ = ["fingerprint"]

_SAMPLED = 256


def fingerprint(data: Dataset) -> dict[str, int | str]:
    """The number of examples and tokens, and a hash of all lengths and of some examples.

    It hashes at most 256 evenly spaced examples: enough to detect another order or tokenizer, and
    cheap for data of any size.
    """
    digest = hashlib.blake2b(np.ascontiguousarray(data.lengths, np.int64).tobytes(), digest_size=16)
    for index in np.unique(np.linspace(0, len(data) - 1, _SAMPLED).astype(np.int64)).tolist():
        example = data[index]
        for sequence in example.sequences:
            digest.update(np.ascontiguousarray(sequence.values).tobytes())
        if example.target is not None:
            digest.update(np.ascontiguousarray(example.target).tobytes())
    return {"examples": len(data), "tokens": int(data.lengths.sum()), "hash": digest.hexdigest()}
