"""The n-gram term of a head: fitted to the training rows, and weighed on the held-out rows."""
