"""The files of a run (folder, checkpoints, events), and the signals that stop it."""
