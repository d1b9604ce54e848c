"""The comparisons: an experiment and a report for each."""
