"""The native CPU engine: packed batches through C++ kernels, without padding and without torch.

The C++ is in `engine/`, in the same five parts as the reference: `embedding`, `attention`, `block`,
`encoder`, `pooling`; and scans of stored vectors, for search.
"""

from bothways.native.backend import (
    NativeBackend,
    available_isas,
    default_threads,
    int8_scheme,
    is_built,
)
from bothways.native.scanner import VectorScanner, hamming_distances, scan_vectors

__all__ = [
    "NativeBackend",
    "VectorScanner",
    "available_isas",
    "default_threads",
    "hamming_distances",
    "int8_scheme",
    "is_built",
    "scan_vectors",
]
