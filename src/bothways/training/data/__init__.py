"""From a user's files to the examples of a training run: read, checked, split and tokenized."""
