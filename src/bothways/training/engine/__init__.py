"""The training loop and the steps that it is made of."""
