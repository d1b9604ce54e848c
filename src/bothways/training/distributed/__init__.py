"""Training on several processes: communication and sharded weights."""
