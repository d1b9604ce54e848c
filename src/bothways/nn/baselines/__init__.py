"""Encoders that stand where the Transformer stands: packed tokens in, a vector per position out."""
