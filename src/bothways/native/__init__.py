"""The native CPU engine: packed batches through C++ kernels, without padding and without torch.

The C++ is in `engine/`, in the same five parts as the reference: `embedding`, `attention`, `block`,
`encoder`, `pooling`.
"""

from bothways.native.backend import NativeBackend, available_isas, default_threads, is_built

__all__ = ["NativeBackend", "available_isas", "default_threads", "is_built"]
