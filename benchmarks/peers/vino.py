"""OpenVINO in fp32, and in int8 in the two ways there are.

Its CPU plugin would compute fp32 models in a shorter type where the machine has one; fp32 is asked
for in so many words. Dynamic int8: nncf puts the weights into 8 bits, and the plugin quantizes the
activations of each token in groups, on the fly. Static int8: nncf runs the model on sample texts,
as its settings for Transformers have it, and fixes the ranges of the activations by them. It is
faster, but needs such texts, and other text may go beyond the ranges.
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
"""Inputs that share a scale: of 32, 128 and 384, the fastest when tried once, in batches of 512."""

_NUM_CALIBRATION_TEXTS = 300  # nncf's default
_CALIBRATION_LENGTH = 256


def open_fp32(precision: str, threads: int) -> PaddedPeer:
    """As the model is."""
    return _open_peer("fp32", threads, {})


def open_dynamic(precision: str, threads: int) -> PaddedPeer:
    """Weights in int8, activations quantized on the fly."""
    return _open_peer("dynamic", threads, {"DYNAMIC_QUANTIZATION_GROUP_SIZE": _GROUP})


def open_static(precision: str, threads: int) -> PaddedPeer:
    """Weights and activations in int8, with ranges fixed by sample texts."""
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
    names = [given.get_any_name() for given in model.inputs]
    texts = nncf.Dataset(_calibration_batches(), lambda batch: dict(zip(names, batch, strict=True)))
    static = nncf.quantize(
        model,
        texts,
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=_NUM_CALIBRATION_TEXTS,
    )
    openvino.save_model(static, str(folder / "static.xml"), compress_to_fp16=False)
    # Last, for it changes the model it is given.
    dynamic = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
    openvino.save_model(dynamic, str(folder / "dynamic.xml"), compress_to_fp16=False)


def _calibration_batches() -> list[tuple[np.ndarray, np.ndarray]]:
    """Ids and mask of one text each."""
    read = tokenizer(resolve("minilm"), _CALIBRATION_LENGTH)
    # No short or mixed text that is measured: those are the first NUM_SAMPLED of this sample.
    texts = sample_paragraphs(NUM_SAMPLED + _NUM_CALIBRATION_TEXTS)[NUM_SAMPLED:]
    return [pad([np.array(e.ids, np.int64)]) for e in read.encode_batch_fast(texts)]
