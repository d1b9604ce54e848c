"""Construction of an ONNX graph: operations in the order of computation, and weights.

Values are identified by name. Operations are those of opset 17 (https://onnx.ai/onnx/operators),
which every release of ONNX Runtime since 1.12 supports.
"""

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bothways.errors import MissingExtra

if TYPE_CHECKING:
    import onnx

__all__ = ["Graph", "Value"]

Value = str
"""The name of a value in a graph."""

OPSET = 17
IR_VERSION = 8
"""The IR version of ONNX 1.12, the release of the opset."""


class Graph:
    """A graph under construction.

    Raises:
        MissingExtra: if onnx is not installed.
    """

    def __init__(self) -> None:
        try:
            import onnx
        except ImportError as error:
            raise MissingExtra("onnx", "a model for ONNX Runtime") from error
        self._onnx = onnx
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._constants: dict[tuple[str, bytes, tuple[int, ...]], Value] = {}

    def input(self, name: str, dtype: type[np.generic], shape: Sequence[str | int]) -> Value:
        """Declare an input; dimensions that are strings are dynamic."""
        self._inputs.append(self._info(name, dtype, shape))
        return name

    def output(self, value: Value, name: str, shape: Sequence[str | int]) -> None:
        """Declare a float32 output."""
        self._node("Identity", [value], [name], {})
        self._outputs.append(self._info(name, np.float32, shape))

    def weight(self, name: str, array: np.ndarray) -> Value:
        """An array that is stored in the file, once per name."""
        if name not in self._initializers:
            contiguous = np.asarray(array, order="C")
            self._initializers[name] = self._onnx.numpy_helper.from_array(contiguous, name)
        return name

    def constant(self, value: Any, dtype: type[np.generic] = np.float32) -> Value:
        """A constant of one or a few numbers."""
        array = np.asarray(value, dtype=dtype)
        key = (array.dtype.str, array.tobytes(), array.shape)
        if key not in self._constants:
            name = f"constant.{len(self._constants)}"
            self._constants[key] = self.weight(name, array)
        return self._constants[key]

    def op(self, kind: str, *inputs: Value, attributes: Mapping[str, Any] | None = None) -> Value:
        """Add an operation with one output, and return that."""
        name = f"{kind.lower()}.{len(self._nodes)}"
        self._node(kind, inputs, [name], attributes or {})
        return name

    def top(self, value: Value, count: int) -> tuple[Value, Value]:
        """The `count` largest numbers of the last axis, and their indices, the largest first.

        ONNX Runtime takes the first of equal numbers.
        """
        name = f"topk.{len(self._nodes)}"
        names = [f"{name}.values", f"{name}.indices"]
        self._node("TopK", [value, self.constant([count], np.int64)], names, {"axis": -1})
        return names[0], names[1]

    def scale(self, value: Value, factor: float) -> Value:
        """Multiply by a number; a factor of 1 adds no operation."""
        return value if factor == 1 else self.op("Mul", value, self.constant(factor))

    def cast(self, value: Value, dtype: type[np.generic]) -> Value:
        """Convert to another data type."""
        return self.op("Cast", value, attributes={"to": self._element(dtype)})

    def size(self, value: Value, axis: int) -> Value:
        """The length of an axis, int64 (1,)."""
        shape = self.op("Shape", value)
        return self.op("Gather", shape, self.constant([axis], np.int64))

    def first(self, table: Value, count: Value, *, start: int = 0) -> Value:
        """The `count` (1,) rows of a table that begin at `start`."""
        begin = self.constant([start], np.int64)
        end = self.op("Add", count, begin)
        return self.op("Slice", table, begin, end, self.constant([0], np.int64))

    def reshape(self, value: Value, *shape: int) -> Value:
        """Reshape; 0 keeps the length of an axis, and -1 infers it."""
        return self.op("Reshape", value, self.constant(shape, np.int64))

    def transpose(self, value: Value, *axes: int) -> Value:
        """Permute the axes."""
        return self.op("Transpose", value, attributes={"perm": list(axes)})

    def expand(self, value: Value, *axes: int) -> Value:
        """Insert axes of length 1 at these indices of the result."""
        return self.op("Unsqueeze", value, self.constant(axes, np.int64))

    def total(self, value: Value, axis: int, *, keep: bool = False) -> Value:
        """The sum over an axis."""
        axes = self.constant([axis], np.int64)
        return self.op("ReduceSum", value, axes, attributes={"keepdims": int(keep)})

    def to_model(self, name: str, metadata: Mapping[str, str]) -> "onnx.ModelProto":
        """The finished model."""
        helper = self._onnx.helper
        graph = helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, list(self._initializers.values())
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="bothways",
            producer_version=importlib.metadata.version("bothways"),
        )
        helper.set_model_props(model, dict(metadata))
        return model

    def _node(
        self, kind: str, inputs: Sequence[Value], outputs: list[str], attributes: Mapping[str, Any]
    ) -> None:
        node = self._onnx.helper.make_node(kind, list(inputs), outputs, name=outputs[0])
        for key, value in attributes.items():
            node.attribute.append(self._onnx.helper.make_attribute(key, value))
        self._nodes.append(node)

    def _info(self, name: str, dtype: type[np.generic], shape: Sequence[str | int]) -> Any:
        return self._onnx.helper.make_tensor_value_info(name, self._element(dtype), list(shape))

    def _element(self, dtype: type[np.generic]) -> int:
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
