"""ONNX Runtime with its fused graph of BERT, in fp32 and quantized dynamically to int8.

The model of transformers is exported with mean pooling, then onnxruntime.transformers.optimizer
fuses its embedding, attention, GELU and norms. It recognizes attention only in graphs that torch's
older exporter writes for `eager` attention, so both are used. For int8, the weights of all matrix
products are quantized per output channel, signed, and activations per tensor, dynamically.
"""

from pathlib import Path

import numpy as np

from peers.models import converted, example_inputs, pooled_module
from peers.peer import PaddedPeer, Run

__all__ = ["open_peer"]

_FUSED = {
    "EmbedLayerNormalization": 1,
    "Attention": 6,
    "BiasGelu": 6,
    "SkipLayerNormalization": 12,
}
"""Operators that a correctly fused model of 6 layers has."""


def open_peer(precision: str, threads: int) -> PaddedPeer:
    """Open ONNX Runtime in `fp32` or `int8`."""
    file = converted("onnx", "onnxruntime", _convert) / f"{precision}.onnx"
    return PaddedPeer(lambda streams: _open_run(file, threads // streams))


def _open_run(file: Path, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    # The inputs of the fused embedding are int32.
    dtypes = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}
    dtype_of = {node.name: dtypes[node.type] for node in session.get_inputs()}

    def run(ids_BL: np.ndarray, mask_BL: np.ndarray) -> np.ndarray:
        arrays = {"input_ids": ids_BL, "attention_mask": mask_BL}
        inputs = {name: arrays[name].astype(dtype, copy=False) for name, dtype in dtype_of.items()}
        vectors: np.ndarray = session.run(None, inputs)[0]
        return vectors

    return run


def _convert(folder: Path) -> None:
    import onnx
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer

    plain, fused = folder / "plain.onnx", folder / "fp32.onnx"
    sizes = {0: "sequences", 1: "positions"}
    torch.onnx.export(
        pooled_module("eager"),
        example_inputs(),
        str(plain),
        input_names=["input_ids", "attention_mask"],
        output_names=["pooled"],
        dynamic_axes={"input_ids": sizes, "attention_mask": sizes},
        opset_version=17,
        dynamo=False,
    )
    model = optimizer.optimize_model(
        str(plain), model_type="bert", num_heads=12, hidden_size=384, opt_level=0
    )
    fused_operators = model.get_fused_operator_statistics()
    if any(fused_operators[name] != count for name, count in _FUSED.items()):
        raise RuntimeError(f"onnxruntime did not fuse the whole model: {fused_operators}")
    model.save_model_to_file(str(fused))
    quantize_dynamic(
        str(fused),
        str(folder / "int8.onnx"),
        per_channel=True,
        weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )
    plain.unlink()
