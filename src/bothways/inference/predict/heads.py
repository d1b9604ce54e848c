"""The heads of a model folder: which there are, and their weights when they are used."""

from bothways.checkpoints import ModelFolder, read_folder
from bothways.errors import InputError
from bothways.model.heads import TIED_WEIGHT, Head, HeadTask, check_head, head_layout
from bothways.model.weights import Weights

__all__ = ["Heads"]

_OBJECTIVES: dict[HeadTask, str] = {
    "masked_tokens": "mlm",
    "masked_values": "mlm",
    "classes": "classify",
    "multilabel": "classify",
    "tags": "tag",
    "values": "regress",
}
"""What `bothways train` calls the objective that makes a head."""


class Heads:
    """The heads of a model folder.

    Small ones are kept in memory. What is as large as the vocabulary is read from the folder when
    it is first used, for most encoders that have it are never asked for tokens.
    """

    def __init__(self, folder: ModelFolder) -> None:
        self._path = folder.path
        self._config = folder.config
        self._heads = {head.task: head for head in folder.head_configs}
        self._unread = folder.unread_heads
        self._weights = {
            name: folder.heads[name].copy()  # not a view, which would keep the whole file mapped
            for head in folder.head_configs
            if head.task != "masked_tokens"
            for name in head_layout(head, folder.config)
        }

    @property
    def tasks(self) -> tuple[HeadTask, ...]:
        """What there are heads for."""
        return tuple(self._heads)

    def find(self, *tasks: HeadTask, purpose: str) -> Head:
        """The head for one of these tasks.

        purpose: what it is wanted for, for messages.

        Raises:
            InputError: if there is none, with those that there are.
        """
        for task in tasks:
            if task in self._heads:
                return self._heads[task]
        there = f"it has one for {', '.join(self._heads)}" if self._heads else "it has none"
        unread = f"; some of its weights are no head that can be used: {self._unread}"
        raise InputError(
            f"{purpose} needs a head for {' or '.join(tasks)}, and the model {self._path} has no "
            f"such head: {there}{unread if self._unread else ''}; load a model that has one, or "
            f"train one: bothways train {_OBJECTIVES[tasks[0]]}"
        )

    def weights(self, head: Head) -> Weights:
        """The weights of a head, and the table of tokens if it is tied to that.

        Raises:
            CheckpointError: if they are to be read from the folder, and it is no longer there.
        """
        names = list(head_layout(head, self._config))
        if head.layers[-1].tied:
            names.append(TIED_WEIGHT)
        if any(name not in self._weights for name in names):
            folder = read_folder(self._path)
            check_head(head, folder.config, folder.heads, str(self._path))
            arrays = folder.heads | folder.weights
            self._weights |= {name: arrays[name].copy() for name in names}
        return {name: self._weights[name] for name in names}
