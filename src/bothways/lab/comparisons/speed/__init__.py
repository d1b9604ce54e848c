"""Speed: compare the run time of encoders by sequence length."""
