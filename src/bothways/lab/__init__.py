"""Encoders to hold the Transformer against, and comparisons of them that anyone can repeat."""
