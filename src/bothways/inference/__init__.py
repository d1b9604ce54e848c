"""Running an encoder: backends, batches, postprocessing and predictions."""
