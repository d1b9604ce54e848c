"""The methods of an `Encoder` that need heads."""

import abc
from collections.abc import Iterable, Sequence
from typing import Any, overload

import numpy as np

from bothways.errors import InputError
from bothways.inference import runner
from bothways.inference.backends import Backend
from bothways.inference.predict import labels, tokens
from bothways.inference.predict.heads import Heads
from bothways.inference.predict.run import Run
from bothways.inference.results import Classified, Filled, Reranked, Sparse, Tagged
from bothways.io.progress import ProgressCallback
from bothways.model.config import EncoderShape
from bothways.model.heads import HeadTask
from bothways.sequences import (
    FittedSequence,
    OnOverflow,
    SequenceReader,
    WordSequence,
    first_token_positions,
    is_single_sequence,
    join_words,
)
from bothways.sequences.token_names import token_names

__all__ = ["Predicting"]


class Predicting(abc.ABC):
    """What can predict, if it has heads: the part of an `Encoder` that is about them."""

    heads: Heads
    reader: SequenceReader | None
    backend: Backend

    @property
    @abc.abstractmethod
    def config(self) -> EncoderShape:
        """The architecture."""

    @property
    @abc.abstractmethod
    def max_length(self) -> int:
        """The longest sequence that is encoded whole, in tokens, special tokens included."""

    @abc.abstractmethod
    def _fit(
        self, rows: Iterable[Any], prompt: str, on_overflow: OnOverflow
    ) -> list[FittedSequence]:
        """Sequences read, and made to fit."""

    def classify(
        self,
        sequences: Any,
        *,
        threshold: float = 0.5,
        on_overflow: OnOverflow = "truncate",
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> Classified:
        """The label of each sequence, with the probabilities of all; a single one is a list of one.

        sequences: as for `encode`; also pairs of texts, as tuples.
        threshold: where a sequence may have several labels, the probability that one needs.

        The other arguments are those of `encode`.

        Raises:
            InputError: as `encode`, and if the model has no head for classes.
        """
        run = self.prepare(
            ("classes", "multilabel"), sequences, "classify", on_overflow, max_tokens, progress
        )
        return labels.classify(run, threshold)

    def predict(
        self,
        sequences: Any,
        *,
        on_overflow: OnOverflow = "truncate",
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> np.ndarray:
        """The numbers that a head for values gives, float32 (n,), or (n, k) for k of them.

        A single sequence gives a single row. The arguments are those of `encode`.

        Raises:
            InputError: as `encode`, and if the model has no head for values.
        """
        run = self.prepare(("values",), sequences, "predict", on_overflow, max_tokens, progress)
        values = labels.values(run)
        columns: np.ndarray = values[:, 0] if values.shape[1] == 1 else values
        return columns[0] if is_single_sequence(sequences) else columns

    def tag(
        self,
        sequences: Any,
        *,
        on_overflow: OnOverflow = "truncate",
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> list[Tagged]:
        """A label for each token of each sequence; a single one is a list of one.

        sequences: as for `encode`; a text may also be a list of words, and has a label for each
            word then, that of its first token (Devlin et al. 2019, section 5.3).

        The other arguments are those of `encode`.

        Raises:
            InputError: as `encode`, and if the model has no head for tags.
        """
        rows = _rows(sequences)
        words = [self._words(row, i) for i, row in enumerate(rows)]
        read = [row if w is None else w.sequence for row, w in zip(rows, words, strict=True)]
        run = self.prepare(("tags",), read, "tag", on_overflow, max_tokens, progress)
        first = [
            labels.content_positions(f) if w is None else first_token_positions(f, w.spans)
            for f, w in zip(run.fitted, words, strict=True)
        ]
        given = [None if w is None else row for row, w in zip(rows, words, strict=True)]
        return labels.tag(run, given, first)

    @overload
    def fill_mask(
        self,
        sequences: str,
        *,
        top: int = 5,
        on_overflow: OnOverflow = "truncate",
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> list[Filled]: ...

    @overload
    def fill_mask(
        self,
        sequences: Iterable[Any],
        *,
        top: int = 5,
        on_overflow: OnOverflow = "truncate",
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> list[list[Filled]]: ...

    def fill_mask(
        self,
        sequences: Any,
        *,
        top: int = 5,
        on_overflow: OnOverflow = "truncate",
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> list[Filled] | list[list[Filled]]:
        """The `top` most probable tokens for each mask of a sequence, or of each of several.

        sequences: with the model's mask token (`mask_token`) where something is to be found.

        The other arguments are those of `encode`.

        Raises:
            InputError: as `encode`, if a sequence has no mask, or the model no head for tokens.
        """
        run = self.prepare(
            ("masked_tokens",), sequences, "fill_mask", on_overflow, max_tokens, progress
        )
        found = tokens.fill(run, self._mask_id(), top, self._token_names())
        return found[0] if is_single_sequence(sequences) else found

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        on_overflow: OnOverflow = "truncate",
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> Reranked:
        """Documents by how well they answer a query, each read together with it.

        For models with a head of one value, or of two classes, of which the second is a match
        (Nogueira and Cho 2019, "Passage re-ranking with BERT", section 3).

        The other arguments are those of `encode`.

        Raises:
            InputError: as `encode`, and if the model has no such head, or does not read text.
        """
        head = self.heads.find("values", "classes", "multilabel", purpose="rerank")
        if not labels.can_rank(head):
            raise InputError(
                f"rerank needs one value or two classes, and the head for {head.task} of this "
                f"model has {head.num_outputs}: {', '.join(head.labels)}"
            )
        if self.reader is None or self.reader.kind != "text":
            raise InputError("rerank reads a query and documents as pairs of texts; this model not")
        pairs = [(query, document) for document in documents]
        return labels.rerank(
            self.prepare((head.task,), pairs, "rerank", on_overflow, max_tokens, progress)
        )

    def sparse(
        self,
        sequences: Any,
        *,
        on_overflow: OnOverflow = "truncate",
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> Sparse:
        """Weights over the vocabulary for each sequence; a single one is a list of one.

        The weight of a token is the largest of log(1 + relu(logit)) over all positions, as in
        SPLADE v2 (Formal et al. 2021): for models whose head for tokens was trained for it.

        The arguments are those of `encode`.

        Raises:
            InputError: as `encode`, and if the model has no head for tokens.
        """
        run = self.prepare(
            ("masked_tokens",), sequences, "sparse", on_overflow, max_tokens, progress
        )
        return tokens.sparse(run, self._token_names())

    @property
    def tasks(self) -> tuple[HeadTask, ...]:
        """What the model has heads for."""
        return self.heads.tasks

    @property
    def mask_token(self) -> str:
        """What `fill_mask` looks for in a sequence.

        Raises:
            InputError: if the model has none.
        """
        return self._token_names()[self._mask_id()]

    def prepare(
        self,
        tasks: Sequence[HeadTask],
        sequences: Any,
        purpose: str,
        on_overflow: OnOverflow,
        max_tokens: int | None,
        progress: bool | ProgressCallback,
    ) -> Run:
        """Sequences on their way to the first head that there is for one of `tasks`.

        purpose: the name of the method that wants it, for messages. Warns of truncation.

        Raises:
            InputError: as `encode`, and if there is no such head.
        """
        head = self.heads.find(*tasks, purpose=purpose)
        fitted = self._fit(_rows(sequences), "", on_overflow)
        run = Run(
            backend=self.backend,
            head=head,
            weights=self.heads.weights(head),
            fitted=fitted,
            max_tokens=runner.batch_tokens(max_tokens),
            progress=progress,
        )
        runner.warn_of_truncation(run.truncated, self.max_length, stacklevel=4)
        return run

    def _words(self, row: Any, index: int) -> WordSequence | None:
        """A sentence of words as a text, where it is one."""
        kind = None if self.reader is None else self.reader.kind
        is_words = kind == "text" and isinstance(row, list) and row and isinstance(row[0], str)
        if not is_words:
            return None
        try:
            return join_words(row, "text")
        except InputError as error:
            raise InputError(error.detail, sequence=index) from None

    def _mask_id(self) -> int:
        if self.reader is None or self.reader.kind == "series":
            raise InputError("this model has no mask token: it has no vocabulary that says so")
        # Here, as it imports a library that models of other kinds do without.
        from bothways.sequences.special_tokens import special_tokens

        mask = special_tokens(self.reader).mask
        if mask is None:
            raise InputError("this model has no mask token: its vocabulary names none")
        return mask

    def _token_names(self) -> tuple[str, ...]:
        return token_names(self.reader, self.config.vocab_size)


def _rows(sequences: Any) -> list[Any]:
    return [sequences] if is_single_sequence(sequences) else list(sequences)
