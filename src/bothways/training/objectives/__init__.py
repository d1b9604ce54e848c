"""Objectives: the losses and metrics of each task, and the default heads."""
