"""Reproducible comparisons of Transformer encoders with recurrent and convolutional baselines."""
