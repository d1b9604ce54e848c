"""Memory that libraries hold on to, for no gain in speed, when batches have ever new sizes."""

import ctypes
import os
import sys

__all__ = ["limit_primitive_caches", "return_freed_blocks"]

_KERNELS_KEPT = "64"
_M_MMAP_THRESHOLD = -3
_LARGE_BLOCK = 1 << 20


def limit_primitive_caches() -> None:
    """Let torch and oneDNN, which multiplies its matrices, keep kernels for a batch's shapes alone.

    By themselves they keep those of the last 1024, half a megabyte and more each (oneDNN's manual,
    "Primitive Cache"; pytorch issue 29893); a batch needs some dozens, and the next has others.
    They look once, at their first product in a process. What the user has set in the environment
    stays.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _KERNELS_KEPT)
    os.environ.setdefault("LRU_CACHE_CAPACITY", _KERNELS_KEPT)


def return_freed_blocks() -> None:
    """Let glibc give large blocks back to the system when they are freed.

    It raises the size from which it does so, up to 32 MiB (mallopt(3)), and activations of many
    sizes then leave holes between them. Of the whole process: for programs, not for libraries.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # glibc alone has it
            libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
