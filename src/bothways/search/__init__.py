"""Indexes over folders of vectors: signs of dimensions find candidates, vectors score them."""

from bothways.search.bit_index import BitIndex, open_index
from bothways.search.build import IndexReport, build_index
from bothways.search.scan import default_scan

__all__ = ["BitIndex", "IndexReport", "build_index", "default_scan", "open_index"]
