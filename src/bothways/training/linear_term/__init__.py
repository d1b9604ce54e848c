"""The linear term of a head: fitted to the training rows, and scaled on the held-out rows."""
