"""OpenVINO in fp32, and with weights in int8 and activations quantised on the fly.

Its CPU plugin would compute fp32 models in a shorter type where the machine has one; fp32 is asked
for in so many words. For int8, nncf puts the weights into 8 bits, and the plugin quantises the
activations of each token in groups.
"""

import queue
from pathlib import Path

import numpy as np

from peers.models import converted, example_inputs, pooled_module
from peers.peer import PaddedPeer, Run

__all__ = ["open_peer"]

_GROUP = "384"
"""Inputs that share a scale: the widest group that divides all the widths of the model."""


def open_peer(precision: str, threads: int) -> PaddedPeer:
    """`fp32` or `int8`."""
    file = converted("openvino", "openvino", _convert) / f"{precision}.xml"
    quantised = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": _GROUP} if precision == "int8" else {}
    return PaddedPeer(lambda streams: _open_run(file, threads, streams, quantised))


def _open_run(file: Path, threads: int, streams: int, quantised: dict[str, str]) -> Run:
    import openvino

    model = openvino.Core().compile_model(
        str(file),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            **quantised,
        },
    )
    requests: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()
    for _ in range(streams):
        requests.put(model.create_infer_request())

    def run(ids_BL: np.ndarray, mask_BL: np.ndarray) -> np.ndarray:
        request = requests.get()
        try:
            vectors: np.ndarray = request.infer([ids_BL, mask_BL])[0].copy()
        finally:
            requests.put(request)
        return vectors

    return run


def _convert(folder: Path) -> None:
    import nncf
    import openvino

    model = openvino.convert_model(pooled_module("sdpa"), example_input=example_inputs())
    openvino.save_model(model, str(folder / "fp32.xml"), compress_to_fp16=False)
    small = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
    openvino.save_model(small, str(folder / "int8.xml"), compress_to_fp16=False)
