"""`ModelBundle`: a model's spec, its checked weights, and the folder of its reader's files."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from bothways.checkpoints.reader_files import copy_reader_files
from bothways.checkpoints.routes import Routes
from bothways.checkpoints.weight_files import StoredTensor
from bothways.errors import InputError
from bothways.model.baselines import AnyConfig
from bothways.model.baselines.any_encoder import layout, require_transformer
from bothways.model.config import EncoderConfig
from bothways.model.heads import check_head, head_layout
from bothways.model.linear_terms import NAMES
from bothways.model.pooling import module_layout
from bothways.model.spec import ModelSpec
from bothways.model.weights import CheckedWeights, Weights

__all__ = ["ModelBundle"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ModelBundle:
    """A model in memory, read from a folder or made from scratch.

    path: the model folder, which messages name.
    reader_path: the folder with the files of its tokenizer, alphabet or series, which in some old
        sentence-transformers folders is a subfolder.
    family: `model_type` of the config.json, or `bothways` for folders that bothways wrote.
    spec: the model, without its weights.
    weights: the encoder's, exactly its layout.
    module_weights: those of the dense layers after pooling, under the names of `module_layout`.
    head_weights: every weight whose name begins with `heads.`: those of the heads of the spec, and
        those of heads that bothways does not run.
    unread_heads: why some head weights belong to no head of the spec; "" if all do.
    source_settings: fields of a config.json about heads, labels and special tokens, as they stand
        in the file; an export to transformers writes them again.
    stored: where on disk each weight of the encoder and of heads is, if it is as it is there; empty
        for a new model.
    routes: the routes of the folder, of which this model is `route`; None if it has no Router.
    """

    path: Path
    reader_path: Path
    family: str
    spec: ModelSpec
    weights: CheckedWeights
    module_weights: CheckedWeights
    head_weights: CheckedWeights
    unread_heads: str = ""
    source_settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    stored: Mapping[str, StoredTensor] = dataclasses.field(default_factory=dict)
    routes: Routes | None = None
    route: str | None = None

    def __post_init__(self) -> None:
        expected = {**layout(self.config), **module_layout(self.spec.modules)}
        if self.weights.layout | self.module_weights.layout != expected:
            raise ValueError("the weights are of another config or of other modules than the spec")

    @classmethod
    def of(
        cls,
        spec: ModelSpec,
        arrays: Weights,
        source: str = "weights",
        *,
        path: Path,
        reader_path: Path | None = None,
        **fields: Any,
    ) -> Self:
        """Check all the weights of a model against its spec.

        arrays: those of heads begin with `heads.`, those of modules with `modules.`; all others are
            the encoder's. source: the file to name in messages.
        reader_path: None for `path`. fields: the other fields; `family` is `bothways` by default.

        Raises:
            CheckpointError: naming the weight that is missing, unexpected, of another shape, not in
                floating point, or not finite.
        """
        parts: dict[str, dict[str, Any]] = {"heads": {}, "modules": {}, "encoder": {}}
        for name, array in arrays.items():
            part = name.partition(".")[0]
            parts[part if part in ("heads", "modules") else "encoder"][name] = array
        weights = CheckedWeights(layout(spec.config), parts["encoder"], source)
        for head in spec.heads:
            check_head(head, spec.config, parts["heads"], source)
        return cls(
            path=path,
            reader_path=reader_path or path,
            family=fields.pop("family", "bothways"),
            spec=spec,
            weights=weights,
            module_weights=CheckedWeights(module_layout(spec.modules), parts["modules"], source),
            head_weights=check_head_weights(parts["heads"], source),
            **fields,
        )

    @property
    def config(self) -> AnyConfig:
        """The encoder's config."""
        return self.spec.config

    @property
    def transformer(self) -> EncoderConfig:
        """The encoder's config, for what supports Transformers only.

        Raises:
            UnsupportedModel: if the encoder is a baseline.
        """
        return require_transformer(
            self.config,
            f"{self.path}: other libraries take",
            "bothways alone runs it, on its torch backend",
        )

    @property
    def all_weights(self) -> CheckedWeights:
        """The weights of the encoder, of heads and of modules together."""
        return CheckedWeights.union(self.weights, self.head_weights, self.module_weights)

    def require_route(self, route: str | None) -> None:
        """Check that a route was chosen, for what uses one model and leaves the others out.

        Raises:
            InputError: if the folder has several, and `route` is None.
        """
        if self.routes is not None and route is None:
            raise InputError(
                f"{self.path} has the routes {', '.join(self.routes.names)}: choose one with "
                "route= (--route)"
            )

    def with_spec(self, **changes: Any) -> Self:
        """The same weights, with changed fields of the spec.

        Raises:
            ValueError: if the changed spec has other weights.
        """
        return dataclasses.replace(self, spec=dataclasses.replace(self.spec, **changes))

    def with_weights(self, arrays: Weights, source: str = "weights", **changes: Any) -> Self:
        """The same model with other weights, all of them, and with changed fields of the spec.

        Raises:
            CheckpointError: as `of`.
        """
        return type(self).of(
            dataclasses.replace(self.spec, **changes),
            arrays,
            source,
            path=self.path,
            reader_path=self.reader_path,
            family=self.family,
            source_settings=self.source_settings,
        )

    def without_linear_terms(self) -> Self:
        """The same model with heads of layers alone, for formats that have no linear terms."""
        heads = tuple(dataclasses.replace(head, linear_term=None) for head in self.spec.heads)
        kept = [name for name in self.head_weights if name not in NAMES]
        changed = dataclasses.replace(self, head_weights=self.head_weights.select(kept))
        return changed.with_spec(heads=heads)

    def unused_head_weights(self) -> list[str]:
        """Names of the head weights that no head of the spec uses, a pooler's among them."""
        used = {name for head in self.spec.heads for name in head_layout(head, self.config)}
        return [name for name in self.head_weights if name not in used]

    def copy_reader_files(self, out: Path) -> None:
        """Copy the files of the tokenizer, alphabet or series into the folder `out`."""
        copy_reader_files(self.reader_path, out, self.family)


def check_head_weights(arrays: Weights, source: str) -> CheckedWeights:
    """Head weights of any shape, which a file may have for heads that bothways does not run.

    Raises:
        CheckpointError: naming the weight that is not in floating point or not finite.
    """
    return CheckedWeights({name: a.shape for name, a in arrays.items()}, arrays, source)
