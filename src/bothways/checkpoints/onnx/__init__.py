"""Export of a model as an ONNX graph, which ONNX Runtime and others run without bothways.

It has the parts of `reference`, as operations over a padded batch of any size and length: `inputs`,
`embedding`, `positions`, `attention`, `encoder`, `pooling`, `heads`. The graph is built directly,
without tracing or another exporter.
"""

from bothways.checkpoints.onnx.loader_files import write_loader_files
from bothways.checkpoints.onnx.writing import write_onnx

__all__ = ["write_loader_files", "write_onnx"]
