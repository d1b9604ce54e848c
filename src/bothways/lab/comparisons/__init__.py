"""The comparisons, each with its settings, experiment and report."""
