"""Fuzzing of every reader: a mutated file is an error of bothways, or is read; nothing else."""
