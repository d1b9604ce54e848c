"""Data: compare encoders on a file of labeled rows."""
