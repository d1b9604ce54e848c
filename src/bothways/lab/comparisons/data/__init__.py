"""The data comparison: encoders on labeled rows of one's own."""
