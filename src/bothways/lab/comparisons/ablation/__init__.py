"""The ablation comparison: what each part of the encoder block contributes."""
