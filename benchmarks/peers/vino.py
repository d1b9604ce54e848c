"""OpenVINO in fp32, and in int8 with dynamic and static quantization.

By default, its CPU plugin computes fp32 models in a narrower type if the machine has one; a hint
requires fp32. Dynamic int8: nncf quantizes the weights, and the plugin quantizes the activations of
each token in groups at run time. Static int8: nncf calibrates the ranges of activations on sample
texts, with its settings for Transformers. It is faster, but needs sample texts, and other texts can
exceed the ranges.
"""

import queue
from pathlib import Path

import numpy as np

from bothways.checkpoints import resolve
from corpus import NUM_SAMPLED, sample_paragraphs, tokenizer
from peers.models import converted, example_inputs, pooled_module
from peers.peer import PaddedPeer, Run, pad

__all__ = ["open_dynamic", "open_fp32", "open_static"]

_GROUP = "128"
"""Inputs that share a scale: the fastest of 32, 128 and 384 with batches of 512 tokens."""

_NUM_CALIBRATION_TEXTS = 300  # nncf's default
_CALIBRATION_LENGTH = 256


def open_fp32(precision: str, threads: int) -> PaddedPeer:
    """Open OpenVINO in fp32."""
    return _open_peer("fp32", threads, {})


def open_dynamic(precision: str, threads: int) -> PaddedPeer:
    """Open OpenVINO with weights in int8 and dynamically quantized activations."""
    return _open_peer("dynamic", threads, {"DYNAMIC_QUANTIZATION_GROUP_SIZE": _GROUP})


def open_static(precision: str, threads: int) -> PaddedPeer:
    """Open OpenVINO with weights and activations in int8, calibrated on sample texts."""
    return _open_peer("static", threads, {})


def _open_peer(name: str, threads: int, quantized: dict[str, str]) -> PaddedPeer:
    file = converted("openvino", "openvino", _convert) / f"{name}.xml"
    return PaddedPeer(lambda streams: _open_run(file, threads, streams, quantized))


def _open_run(file: Path, threads: int, streams: int, quantized: dict[str, str]) -> Run:
    import openvino

    model = openvino.Core().compile_model(
        str(file),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            **quantized,
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
    names = [node.get_any_name() for node in model.inputs]
    texts = nncf.Dataset(_calibration_batches(), lambda batch: dict(zip(names, batch, strict=True)))
    static = nncf.quantize(
        model,
        texts,
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=_NUM_CALIBRATION_TEXTS,
    )
    openvino.save_model(static, str(folder / "static.xml"), compress_to_fp16=False)
    # Last, because it modifies its argument.
    dynamic = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
    openvino.save_model(dynamic, str(folder / "dynamic.xml"), compress_to_fp16=False)


def _calibration_batches() -> list[tuple[np.ndarray, np.ndarray]]:
    """Ids and mask of single texts, which the benchmark does not measure."""
    calibration_tokenizer = tokenizer(resolve("minilm"), _CALIBRATION_LENGTH)
    # Measured short and mixed texts are among the first NUM_SAMPLED of this sample.
    texts = sample_paragraphs(NUM_SAMPLED + _NUM_CALIBRATION_TEXTS)[NUM_SAMPLED:]
    return [
        pad([np.array(e.ids, np.int64)]) for e in calibration_tokenizer.encode_batch_fast(texts)
    ]
