"""The small models that comparisons train."""
