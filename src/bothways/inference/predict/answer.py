"""Answers to questions: spans of a context, by the logits of where they start and end.

L positions of a window; W windows of a context; n pairs of a question and a context.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bothways.errors import InputError
from bothways.inference.containers import rows_of
from bothways.inference.options import RunOptions
from bothways.inference.predict.head_run import HeadRun
from bothways.inference.session import Session
from bothways.sequences import FittedSequence, Tokenized
from bothways.sequences.reader import type_name

if TYPE_CHECKING:
    from tokenizers import Encoding

__all__ = ["Answer", "AnswerOptions", "answer", "answer_pairs"]

_WINDOW, _OVERLAP = 384, 128
"""Tokens of a window, and of its context those that the next window repeats, as in Devlin et al.
2019 (released code for SQuAD) and the pipelines of transformers."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """A span of a context that answers a question.

    text: `context[start:end]`; "" for no answer. start, end: characters of the context.
    score: probability of the start times that of the end, among the positions of a window; summed
        over spans with the same text.
    """

    text: str
    start: int
    end: int
    score: float


@dataclasses.dataclass(frozen=True)
class AnswerOptions:
    """Which answers are returned.

    top: how many, at most. allow_no_answer: whether "" may be one. max_answer_tokens: the longest.

    Raises:
        InputError: if a number is less than 1.
    """

    top: int = 1
    allow_no_answer: bool = False
    max_answer_tokens: int = 15

    def __post_init__(self) -> None:
        for name in ("top", "max_answer_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}: expected at least 1")


def answer(
    session: Session, question: Any, context: Any, *, which: AnswerOptions, options: RunOptions
) -> list[Answer] | list[list[Answer]]:
    """The answers to a question in a context, best first; for several of either, a list of them.

    Raises:
        InputError: naming the argument or pair that is invalid; if the model has no head for
            answers, or reads no text.
    """
    questions, contexts = (
        [texts] if isinstance(texts, str) else rows_of(texts, session.reader, pairs=False)
        for texts in (question, context)
    )
    if isinstance(question, str):
        questions *= len(contexts)
    elif isinstance(context, str):
        contexts *= len(questions)
    if len(questions) != len(contexts):
        raise InputError(
            f"{len(questions)} questions and {len(contexts)} contexts; expected as many of both"
        )
    pairs = list(zip(questions, contexts, strict=True))
    answers = answer_pairs(session, pairs, which=which, options=options)
    return answers[0] if isinstance(question, str) and isinstance(context, str) else answers


def answer_pairs(
    session: Session, pairs: Sequence[Any], *, which: AnswerOptions, options: RunOptions
) -> list[list[Answer]]:
    """The answers for each pair of a question and a context.

    Raises:
        InputError: as `answer`.
    """
    from bothways.sequences.text import TextReader  # symbols and series need no tokenizers library

    head = session.heads.find("answer_spans", purpose="answer")
    reader = session.reader
    if not isinstance(reader, TextReader):
        kind = "ids" if reader is None else reader.kind
        raise InputError(f"this model reads {kind}, and answer needs one that reads texts")
    for index, pair in enumerate(pairs):
        _check_pair(pair, index)
    tokenized = session.tokenize(pairs, "")
    whole = [FittedSequence(t, [t.values], [t.segments], truncated=False) for t in tokenized]
    if options.on_unknown == "error":
        session.refuse_unknown(pairs, whole)
    windows: list[FittedSequence] = []
    owners: list[int] = []
    for index, sequence in enumerate(tokenized):
        of_pair = list(_windows(sequence, min(session.spec.max_length, _WINDOW), index))
        windows += of_pair
        owners += [index] * len(of_pair)
    run = HeadRun(session, head, session.heads.weights(head), windows, options)
    logits = {i: run.outputs(x_LD, owners[i]) for i, x_LD in run.last_hidden_states()}
    session.warn(pairs, whole, options)
    results = [_Candidates(which) for _ in pairs]
    encodings: dict[int, Encoding] = {}
    for window, index in enumerate(owners):
        if index not in encodings:
            encodings = {index: reader.tokenizer.encode(*pairs[index])}
        results[index].add(windows[window], logits[window], encodings[index], pairs[index][1])
    return [result.best() for result in results]


def _check_pair(pair: Any, index: int) -> None:
    if not (isinstance(pair, tuple) and len(pair) == 2):
        raise InputError(
            f"got {type_name(pair)}; expected a question and a context", sequence=index
        )
    for name, text in zip(("question", "context"), pair, strict=True):
        if not isinstance(text, str):
            raise InputError(f"{name}: got {type_name(text)}; expected a str", sequence=index)
        if not text.strip():
            raise InputError(f"the {name} is empty", sequence=index)


def _windows(tokenized: Tokenized, length: int, index: int) -> Iterator[FittedSequence]:
    """Windows with the whole question and a part of the context each, which overlap."""
    first, prefix = tokenized.first or 0, tokenized.prefix
    start, stop = prefix + first + tokenized.middle, len(tokenized) - tokenized.suffix
    room = length - start - tokenized.suffix
    if room < 1:
        raise InputError(
            f"the question has {first} tokens, which leave no room for the context in {length}",
            sequence=index,
        )
    overlap = min(_OVERLAP, length // 2)
    step = room - (overlap if overlap < room else room // 2)
    place_L = np.arange(len(tokenized))
    for begin in range(start, max(stop, start + 1), step):
        end = min(begin + room, stop)
        positions = np.concatenate([place_L[:start], place_L[begin:end], place_L[stop:]])
        segments = None if tokenized.segments is None else tokenized.segments[positions]
        values = [tokenized.values[positions]]
        yield FittedSequence(tokenized, values, [segments], True, [positions])
        if end == stop:
            return


class _Candidates:
    """The candidates for the answer of one pair, from all its windows."""

    def __init__(self, which: AnswerOptions) -> None:
        self._which = which
        self._by_text: dict[str, Answer] = {}
        self._no_answer = np.inf

    def add(
        self, window: FittedSequence, logit_L2: np.ndarray, encoding: "Encoding", context: str
    ) -> None:
        """Add the best spans of a window.

        encoding: of the whole pair.
        """
        tokenized, positions = window.tokenized, window.positions
        begin = tokenized.prefix + (tokenized.first or 0) + tokenized.middle
        in_context = (positions >= begin) & (positions < len(tokenized) - tokenized.suffix)
        is_possible = in_context.copy()
        is_possible[0] |= tokenized.prefix > 0  # the first position stands for no answer
        share_L2 = _softmax(logit_L2.astype(np.float64), is_possible)
        self._no_answer = min(self._no_answer, float(share_L2[0].prod()))
        share_L2[~in_context] = 0
        merged: dict[str, Answer] = {}
        for start, end, score in _best_spans(share_L2, self._which):
            span = _characters(encoding, int(positions[start]), int(positions[end]))
            text = context[slice(*span)]
            known = merged.get(text.lower())
            if known is None:
                merged[text.lower()] = Answer(text, *span, score)
            else:
                merged[text.lower()] = dataclasses.replace(known, score=known.score + score)
        for key, candidate in merged.items():
            known = self._by_text.get(key)
            # Two windows can have the same words: their scores are of the same span.
            if known is None or candidate.score > known.score:
                self._by_text[key] = candidate

    def best(self) -> list[Answer]:
        """The best answers, best first."""
        answers = list(self._by_text.values())
        if self._which.allow_no_answer:
            answers.append(Answer("", 0, 0, self._no_answer))
        return sorted(answers, key=lambda a: a.score, reverse=True)[: self._which.top]


def _softmax(logit_L2: np.ndarray, is_possible_L: np.ndarray) -> np.ndarray:
    """Probabilities of each position as start and as end; those that are not possible have 0."""
    masked = np.where(is_possible_L[:, None], logit_L2, -np.inf)
    weight = np.exp(masked - masked.max(axis=0))
    share: np.ndarray = weight / weight.sum(axis=0)
    return share


def _best_spans(share_L2: np.ndarray, which: AnswerOptions) -> Iterator[tuple[int, int, float]]:
    """Start, end and score of the spans with the highest scores, best first.

    More than are asked for, because spans in the same words become one.
    """
    score_LL = np.triu(np.outer(share_L2[:, 0], share_L2[:, 1]))
    score_LL = np.tril(score_LL, which.max_answer_tokens - 1)
    flat = score_LL.ravel()
    count = min(2 * which.top + 10, flat.size)
    best = np.argpartition(-flat, count - 1)[:count]
    for place in best[np.argsort(-flat[best], kind="stable")].tolist():
        start, end = divmod(place, len(share_L2))
        if flat[place] > 0:
            yield start, end, float(flat[place])


def _characters(encoding: "Encoding", start: int, end: int) -> tuple[int, int]:
    """The characters of the words from one token to another; of the tokens, if none are known."""
    first, last = encoding.token_to_word(start), encoding.token_to_word(end)
    if first is not None and last is not None:
        words = encoding.word_to_chars(first, 1), encoding.word_to_chars(last, 1)
        if words[0] is not None and words[1] is not None:
            return words[0][0], words[1][1]
    return encoding.offsets[start][0], encoding.offsets[end][1]
