"""The page of a map: its data, and the scripts that show them."""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from bothways.io.printable import printable
from bothways.pages import Markup, Page
from bothways.views.map.columns import MapColumn
from bothways.views.map.results import VectorMap

__all__ = ["map_page"]

LISTED = 10
"""Neighbors of each point that the page has."""

TEXT_CHARACTERS = 300
ALL_CHARACTERS = 16_000_000
"""Characters of one text, and of all, which are about 10 MB of the page."""

_STEPS = 65_535


def map_page(view: VectorMap) -> Page:
    """The page of a map."""
    folder = files("bothways.views.map").joinpath("assets")
    shared = files("bothways.views").joinpath("assets")
    body = folder.joinpath("map.html").read_text(encoding="utf-8")
    longest = longest_text(view.texts)
    return Page(
        title=view.title,
        body=[Markup(body)],
        scripts=(folder.joinpath("map.js"),),
        styles=(shared.joinpath("view.css"), folder.joinpath("map.css")),
        data={"map": _facts(view, longest)},
        binary=_arrays(view, longest),
        layout="wide",
    )


def longest_text(texts: Sequence[str | None]) -> int:
    """After how many characters the page cuts texts, so that all together fit."""
    lengths = [min(len(text), TEXT_CHARACTERS) for text in texts if text]
    counts = np.bincount(lengths, minlength=TEXT_CHARACTERS + 1)
    at_least = counts[::-1].cumsum()[::-1]
    sizes = at_least[1:].cumsum()  # of all texts, cut after 1, 2, ... characters
    return max(1, int(np.searchsorted(sizes, ALL_CHARACTERS, side="right")))


def _facts(view: VectorMap, longest: int) -> dict[str, Any]:
    medians = [
        np.median(_scaled(view.coordinates)[view.clusters == cluster], axis=0).round().tolist()
        for cluster in range(len(view.labels))
    ]
    sizes = np.bincount(view.clusters, minlength=len(view.labels)).tolist()
    cut = any(text is not None and len(text) > longest for text in view.texts)
    return {
        "points": len(view),
        "total": view.total,
        "model": view.model,
        "projection": view.projection,
        "shares": None if view.shares is None else view.shares.round(4).tolist(),
        "neighbors": view.neighbors.shape[1],
        "listed": min(LISTED, view.neighbors.shape[1]),
        "kept": float(view.kept.mean()),
        "trustworthiness": view.trustworthiness,
        "hasTexts": any(view.texts),
        "longestText": longest if cut else None,
        "clusters": [
            {"label": printable(label), "size": size, "place": median}
            for label, size, median in zip(view.labels, sizes, medians, strict=True)
        ],
        "columns": [
            {
                "name": printable(column.name),
                "kind": column.kind,
                "categories": [printable(name) for name in column.categories],
            }
            for column in view.columns
        ],
    }


def _arrays(view: VectorMap, longest: int) -> dict[str, bytes]:
    k = view.neighbors.shape[1]
    listed = min(LISTED, k)
    cosines = ((np.clip(view.cosines[:, :listed], -1, 1) + 1) / 2 * _STEPS).round()
    arrays = {
        "points": _scaled(view.coordinates).astype("<u2").tobytes(),
        "clusters": view.clusters.astype(np.uint8).tobytes(),
        "kept": (view.kept * k).round().astype(np.uint8).tobytes(),
        "neighbors": view.neighbors[:, :listed].astype("<u4").tobytes(),
        "cosines": cosines.astype("<u2").tobytes(),
        "names": _names(view, longest),
    }
    for index, column in enumerate(view.columns):
        arrays[f"column-{index}"] = _column(column)
    return arrays


def _scaled(coordinates: np.ndarray) -> np.ndarray:
    """Coordinates as whole numbers from 0 to 65,535, in the same scale along both axes."""
    low = coordinates.min(axis=0).astype(np.float64)
    extent = float(np.ptp(coordinates, axis=0).max()) or 1.0
    scaled: np.ndarray = ((coordinates - low) * (_STEPS / extent)).round()
    return scaled


def _names(view: VectorMap, longest: int) -> bytes:
    """Ids and texts; null for ids that are the numbers of rows."""
    are_numbers = view.ids == [str(row) for row in range(view.total)]
    texts = [None if text is None else printable(text[:longest]) for text in view.texts]
    names = {
        "ids": None if are_numbers else [printable(name) for name in view.ids],
        "texts": texts if any(view.texts) else None,
    }
    return json.dumps(names, ensure_ascii=False, separators=(",", ":")).encode()


def _column(column: MapColumn) -> bytes:
    return column.values.astype(np.uint8 if column.kind == "category" else "<f4").tobytes()
