"""The heads of a model, with weights that are read when they are first used."""

from bothways.checkpoints import ModelBundle
from bothways.errors import InputError
from bothways.model.baselines.any_encoder import layout
from bothways.model.heads import TIED_WEIGHT, Head, HeadTask, head_layout
from bothways.model.layout import Shape
from bothways.model.weights import CheckedWeights, Weights

__all__ = ["Heads"]

_OBJECTIVES: dict[HeadTask, str | None] = {
    "masked_tokens": "mlm",
    "masked_values": "mlm",
    "classes": "classify",
    "multilabel": "classify",
    "tags": "tag",
    "values": "regress",
    "answer_spans": None,
}
"""The subcommand of `bothways train` that trains each head; None if none does."""


class Heads:
    """The heads of a model.

    Small heads are kept in memory. The weights of a head that are as large as the vocabulary are
    read from the model folder when the head is first used: most models that have such a head are
    used without it.
    """

    def __init__(self, model: ModelBundle) -> None:
        self._path = model.path
        self._config = model.config
        self._heads = {head.task: head for head in model.spec.heads}
        self._unread = model.unread_heads
        self._stored = model.stored
        self._weights: dict[str, CheckedWeights] = {}
        for head in model.spec.heads:
            names = self._layout(head)
            if head.task != "masked_tokens" or not all(name in model.stored for name in names):
                # Copied, because views would keep the whole file mapped.
                checked = model.all_weights.select(names)
                self._weights[head.task] = checked.copy()

    @property
    def tasks(self) -> tuple[HeadTask, ...]:
        """The tasks that the model has heads for."""
        return tuple(self._heads)

    def find(self, *tasks: HeadTask, purpose: str) -> Head:
        """The head for the first of these tasks that the model has one for.

        purpose: the method or option that needs it, for the message.

        Raises:
            InputError: if there is none; the message lists the heads of the model.
        """
        for task in tasks:
            if task in self._heads:
                return self._heads[task]
        available = f"it has one for {', '.join(self._heads)}" if self._heads else "it has none"
        unread = f"; some of its weights belong to no supported head: {self._unread}"
        objective = _OBJECTIVES[tasks[0]]
        training = "" if objective is None else f", or train one: bothways train {objective}"
        raise InputError(
            f"{purpose} needs a head for {' or '.join(tasks)}, and the model {self._path} has no "
            f"such head: {available}{unread if self._unread else ''}; load a model that has one"
            f"{training}"
        )

    def weights(self, head: Head) -> Weights:
        """The weights of a head, and the table of token embeddings if it is tied to that.

        Raises:
            CheckpointError: if they must be read from the model folder, and are missing there.
        """
        if head.task not in self._weights:
            names = self._layout(head)
            arrays = {name: self._stored[name].read() for name in names}
            self._weights[head.task] = CheckedWeights(names, arrays, str(self._path))
        return self._weights[head.task]

    def _layout(self, head: Head) -> dict[str, Shape]:
        names = head_layout(head, self._config)
        if head.layers[-1].tied:
            names[TIED_WEIGHT] = layout(self._config)[TIED_WEIGHT]
        return names
