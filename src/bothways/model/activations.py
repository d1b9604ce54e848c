"""Nonlinearities: of the feed-forward, and those that only heads and dense layers have."""

from typing import Literal

from bothways.model.variants import Activation

__all__ = ["AnyActivation"]

AnyActivation = Literal["identity", "tanh", "sigmoid"] | Activation
"""Every nonlinearity that a layer may have; each array library has one function for all of them."""
