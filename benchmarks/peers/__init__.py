"""bothways and the libraries that it is compared with, behind one interface.

    peer.py         the interface: id arrays in, unit vectors out; padded batches of similar lengths
    process.py      a peer in its own process
    models.py       cache of models converted for a peer
    ours.py         bothways
    sentence.py     sentence-transformers
    onnx.py         ONNX Runtime
    vino.py         OpenVINO
    ctranslate.py   CTranslate2
    fast_embed.py   fastembed

All use the folder of `minilm`; nothing is downloaded.
"""

import dataclasses
import importlib.util

__all__ = ["PEERS", "Listing", "missing"]


@dataclasses.dataclass(frozen=True)
class Listing:
    """One contender.

    opener: `module:function` of this package; called with the precision and the number of threads.
    requires: modules that must be installed.
    reads_ids: whether it encodes ids; if not, it is measured from text alone.
    """

    opener: str
    precision: str
    requires: tuple[str, ...]
    reads_ids: bool = True


_ONNX = ("onnxruntime", "onnx", "torch", "transformers")
_VINO = ("openvino", "nncf", "torch", "transformers")
_CTRANSLATE = ("ctranslate2", "torch", "transformers")

PEERS = {
    "bothways fp32": Listing("ours:open_native", "fp32", ("bothways",)),
    "bothways int8": Listing("ours:open_native", "int8", ("bothways",)),
    "bothways torch": Listing("ours:open_torch", "fp32", ("bothways", "torch")),
    "sentence-transformers": Listing("sentence:open_default", "fp32", ("sentence_transformers",)),
    "sentence-transformers, best batch": Listing(
        "sentence:open_tuned", "fp32", ("sentence_transformers",)
    ),
    "ONNX Runtime fp32": Listing("onnx:open_peer", "fp32", _ONNX),
    "ONNX Runtime int8": Listing("onnx:open_peer", "int8", _ONNX),
    "OpenVINO fp32": Listing("vino:open_fp32", "fp32", _VINO),
    "OpenVINO int8, dynamic": Listing("vino:open_dynamic", "int8", _VINO),
    "OpenVINO int8, static": Listing("vino:open_static", "int8", _VINO),
    "CTranslate2 fp32": Listing("ctranslate:open_peer", "fp32", _CTRANSLATE),
    "CTranslate2 int8": Listing("ctranslate:open_peer", "int8", _CTRANSLATE),
    "fastembed": Listing(
        "fast_embed:open_peer",
        "fp32",
        ("fastembed", "onnxruntime", "onnx", "torch", "transformers"),
        reads_ids=False,
    ),
}


def missing(name: str) -> list[str]:
    """Modules that must be installed to measure `name`, and are not."""
    listing = PEERS[name]
    absent = [module for module in listing.requires if importlib.util.find_spec(module) is None]
    if not absent and listing.opener == "ours:open_native":
        if importlib.util.find_spec("bothways.native") is None:
            return ["bothways.native"]
        from bothways.native import is_built

        return [] if is_built() else ["bothways.native"]
    return absent
