"""Figures: one style for the reports of training and of the lab."""
