"""Types of the extension module of the native engine, `engine/module.cpp`."""

from typing import Any

import numpy as np

def available_isas() -> list[str]: ...
def int8_scheme(isa: str) -> str: ...

class Scanner:
    def __init__(self, *, threads: int, isa: str) -> None: ...
    @property
    def isa(self) -> str: ...
    @property
    def threads(self) -> int: ...
    def dots(
        self, rows: np.ndarray, queries: np.ndarray, out: np.ndarray, squares: np.ndarray
    ) -> None: ...
    def hamming(self, rows: np.ndarray, query: np.ndarray, out: np.ndarray) -> None: ...

class Encoder:
    def __init__(
        self,
        config: dict[str, Any],
        weights: dict[str, np.ndarray],
        *,
        int8: bool,
        threads: int,
        isa: str,
    ) -> None: ...
    @property
    def isa(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def packed_bytes(self) -> int: ...
    def workspace_bytes(self, tokens: int, longest: int) -> int: ...
    def pool(
        self,
        values: np.ndarray,
        lengths: np.ndarray,
        segments: np.ndarray | None,
        content: np.ndarray | None,
        modes: list[str],
        skip: int,
        out: np.ndarray,
    ) -> None: ...
    def hidden_states(
        self,
        values: np.ndarray,
        lengths: np.ndarray,
        segments: np.ndarray | None,
        layers: list[int],
        out: np.ndarray,
        keys: np.ndarray | None = None,
    ) -> None: ...
    def attention(
        self,
        values: np.ndarray,
        lengths: np.ndarray,
        segments: np.ndarray | None,
        layers: list[int],
        out: np.ndarray,
    ) -> None: ...
