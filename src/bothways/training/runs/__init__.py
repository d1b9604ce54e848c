"""What a run keeps: its folder, checkpoints and events, and the signals that stop it."""
