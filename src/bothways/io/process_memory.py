"""Limits on the memory that libraries keep for reuse, which does not pay when batch sizes vary."""

import ctypes
import os
import sys

__all__ = ["limit_primitive_caches", "return_freed_blocks"]

_CACHED_PRIMITIVES = "64"
_M_MMAP_THRESHOLD = -3
_MMAP_THRESHOLD_BYTES = 1 << 20


def limit_primitive_caches() -> None:
    """Limit the primitive caches of torch and oneDNN to about what one batch needs.

    By default they cache 1024 primitives, each for one shape and of half a megabyte or more (oneDNN
    manual, "Primitive Cache"; pytorch issue 29893). A batch needs a few dozen, and the next batch
    needs others. Call this before the first matrix product of the process, which reads the limits.
    Limits that the user has set in the environment are kept.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _CACHED_PRIMITIVES)
    os.environ.setdefault("LRU_CACHE_CAPACITY", _CACHED_PRIMITIVES)


def return_freed_blocks() -> None:
    """Make glibc return freed blocks of 1 MiB or more to the system.

    By default glibc raises this threshold to as much as 32 MiB (mallopt(3)), and activations of
    varying sizes then fragment the heap. This affects the whole process: call it in programs, not
    in libraries.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # only glibc has it
            libc.mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)
