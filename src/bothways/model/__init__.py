"""The values that every backend stands on: configs, weight layouts, heads, batches and costs."""
