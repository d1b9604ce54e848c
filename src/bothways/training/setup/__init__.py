"""Setup of a run: the model to train, its size, vocabulary, head and objective."""
