"""The training loop: sampling, gradients, updates and evaluation."""
