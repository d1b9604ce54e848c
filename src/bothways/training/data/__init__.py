"""From data files to training examples: reading, checking, splitting and tokenizing."""
