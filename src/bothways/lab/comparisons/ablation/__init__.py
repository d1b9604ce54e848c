"""Ablation: train encoder blocks with one part removed."""
