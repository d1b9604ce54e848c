"""Encode sequences with Transformer encoders: text, symbols and series in, vectors out."""
