"""A model folder as a graph of ONNX, which ONNX Runtime and others run without bothways.

The same parts as in `reference`, as operations over a padded batch of any size and length:
`inputs`, `embedding`, `attention`, `encoder`, `pooling`, `heads`. The graph is written directly, so
no other library stands between the definition and the file.
"""

from bothways.checkpoints.onnx.writing import write_onnx

__all__ = ["write_onnx"]
