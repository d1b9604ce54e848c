"""Generated tasks with exact answers.

Each sample is a function of its arguments, seed and step included: nothing is stored, and examples
repeat only by chance.
"""
