"""Encoders to hold the Transformer against: what they are and how large; `nn.baselines` runs them."""
