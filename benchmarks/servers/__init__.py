"""Servers of vectors that `serve_load.py` measures, and the load for them."""
