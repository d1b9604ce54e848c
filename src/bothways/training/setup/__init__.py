"""What a run is built from: the base model, its size, its vocabulary and its objective."""
