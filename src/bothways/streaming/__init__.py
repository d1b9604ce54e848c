"""Encoding streams of rows in chunks, so that memory does not grow with the input."""
