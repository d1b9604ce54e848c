"""What is learned: each objective a small file."""
