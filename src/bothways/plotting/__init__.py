"""One style for all figures: training reports, comparisons and documentation."""
