"""The speed comparison: time by sequence length."""
