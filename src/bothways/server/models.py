"""The models of a server by their served names: loaded at the start, swapped at a reload."""

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from bothways import checkpoints
from bothways.model.heads import HeadTask
from bothways.server.engine import Engine
from bothways.server.errors import ApiError
from bothways.server.settings import BatchingSettings, ModelSettings, ServerSettings

__all__ = ["ModelTable", "ServedModel", "load_models"]

_log = logging.getLogger("bothways.server")

Loader = Callable[[ModelSettings, BatchingSettings], Engine]


@dataclasses.dataclass(frozen=True, eq=False)
class ServedModel:
    """A served name: an engine, its settings, and the prompt of this name.

    created: when it was loaded, in seconds since 1970.
    """

    name: str
    engine: Engine
    settings: ModelSettings
    prompt_name: str | None
    created: int

    def has_head(self, tasks: Sequence[HeadTask]) -> bool:
        """Whether the model has a head for one of the tasks."""
        return any(task in self.engine.encoder.tasks for task in tasks)

    def describe(self) -> dict[str, Any]:
        """What clients may know of the model."""
        encoder = self.engine.encoder
        spec = encoder.spec
        return {
            "id": self.name,
            "object": "model",
            "created": self.created,
            "owned_by": "bothways",
            "max_model_len": encoder.max_length,
            "dimensions": encoder.dimensions,
            "tasks": ["embed", *encoder.tasks],
            "prompts": sorted(spec.prompts),
            "fingerprint": self.engine.fingerprint,
            "precision": encoder.backend.precision,
            "pooling": "+".join(spec.pooling.modes),
            "normalization": "l2" if spec.normalizes else "none",
        }


class ModelTable(dict[str, ServedModel]):
    """Served models by name."""

    def find(
        self, name: str | None, suits: Callable[[ServedModel], bool] | None = None
    ) -> ServedModel:
        """The model of a request; without a name, the only one, or the only one that suits.

        Raises:
            ApiError: 404, with the names that are served; 400 if a name is needed.
        """
        if name is None:
            suitable = [served for served in self.values() if suits is None or suits(served)]
            candidates = suitable or list(self.values())
            if len({id(served.engine) for served in candidates}) == 1:
                return candidates[0]
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "model_required",
                f"this server has several models; name one as model: {', '.join(self)}",
                param="model",
            )
        if name not in self:
            raise ApiError(
                HTTPStatus.NOT_FOUND,
                "model_not_found",
                f"the model {name[:100]!r} is not served here; served models: {', '.join(self)}",
                param="model",
            )
        return self[name]


def load_models(
    settings: ServerSettings, previous: Mapping[str, ServedModel], load: Loader = Engine.load
) -> ModelTable:
    """Load the models of the settings; those of `previous` that have not changed are kept.

    Raises what `bothways.load` does, and InputError if a name's prompt does not exist.
    """
    loaded: dict[str, ServedModel] = {}
    for name, model in settings.models.items():
        if model.source:
            loaded[name] = _load(name, model, settings.batching, previous.get(name), load)
    table = ModelTable()
    for name, model in settings.models.items():
        base = loaded[model.alias or name]
        prompt_name = model.prompt_name or None
        if prompt_name is not None:
            base.engine.check_prompt(prompt_name)
        table[name] = dataclasses.replace(base, name=name, prompt_name=prompt_name)
    return table


def _load(
    name: str,
    model: ModelSettings,
    batching: BatchingSettings,
    previous: ServedModel | None,
    load: Loader,
) -> ServedModel:
    if (
        previous is not None
        and previous.settings == model
        and previous.engine.batching == batching
        and _is_current(previous.engine, model)
    ):
        return previous
    engine = load(model, batching)
    _log.info(
        "%s: about %.0f tokens per second, batches of up to %d tokens",
        name,
        engine.tokens_per_second,
        engine.budget,
    )
    return ServedModel(name, engine, model, None, int(time.time()))


def _is_current(engine: Engine, model: ModelSettings) -> bool:
    """Whether the files of a model are those that its engine was loaded from."""
    return (
        checkpoints.fingerprint(checkpoints.resolve(model.source), model.adapter, model.route)
        == engine.fingerprint
    )
