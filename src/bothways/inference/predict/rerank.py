"""Reranking: documents in the order in which they answer a query.

n documents; C outputs.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from bothways.errors import InputError
from bothways.inference.containers import rows_of
from bothways.inference.late_interaction import rank_by_maxsim
from bothways.inference.options import RunOptions
from bothways.inference.predict.head_run import HeadRun
from bothways.inference.session import Session
from bothways.io.short_repr import ShortRepr
from bothways.model.heads import Head
from bothways.sequences import is_single_sequence
from bothways.sequences.reader import type_name

__all__ = ["Ranking", "query_prompt", "ranking", "rerank", "scoring_head"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Ranking(ShortRepr):
    """Documents ordered by how well they answer a query.

    order: indices of the documents, best first, int64 (n,).
    scores: the score of each document in the order given, float32 (n,); higher is better.
    truncated: whether query and document together were cut, bool (n,).
    """

    order: np.ndarray
    scores: np.ndarray
    truncated: np.ndarray


def rerank(
    session: Session, query: str, documents: Sequence[str], *, options: RunOptions
) -> Ranking:
    """Score each document together with the query: by the only output, or the second class of two.

    A model of late interaction reads them apart, and scores by MaxSim.

    Raises:
        InputError: naming the document that is invalid; if the query is not a text; if the model
            has no head that scores, or does not read text.
    """
    late = session.spec.late_interaction is not None
    head = None if late else scoring_head(session)
    if not isinstance(query, str):
        raise InputError(f"query: got {type_name(query)}; expected a str")
    if is_single_sequence(documents):
        raise InputError("documents: got a single text; expected a list of texts")
    rows = rows_of(documents, session.reader, pairs=False)
    if head is None:
        score_n, truncated_n = rank_by_maxsim(session, query, rows, options)
        return Ranking(np.argsort(-score_n, kind="stable"), score_n, truncated_n)
    pairs = [(query, document) for document in rows]
    if options.prompt is None and options.prompt_name is None:
        options = dataclasses.replace(options, prompt=query_prompt(session))
    run = HeadRun.start(session, (head.task,), pairs, options, purpose="rerank")
    return ranking(run, run.sequence_outputs())


def ranking(run: HeadRun, output_nC: np.ndarray) -> Ranking:
    """The order of n documents from the outputs of a head that scores, float32 (n, C)."""
    score_n = run.probabilities(output_nC)[:, -1]
    # Ordered by the outputs: probabilities near 1 round to the same number.
    margin_n = output_nC[:, -1] - (output_nC[:, 0] if output_nC.shape[1] == 2 else 0)
    return Ranking(np.argsort(-margin_n, kind="stable"), score_n, run.truncated)


def scoring_head(session: Session) -> Head:
    """The head that scores pairs of texts.

    Raises:
        InputError: if the model has none, or does not read text.
    """
    head = session.heads.find("values", "classes", "multilabel", purpose="rerank")
    if not _gives_scores(head):
        raise InputError(
            f"rerank needs one value or two classes, and the head for {head.task} of this "
            f"model has {head.num_outputs}: {', '.join(head.labels)}"
        )
    kind = None if session.reader is None else session.reader.kind
    if kind != "text":
        raise InputError(
            f"this model reads {kind or 'ids'}, and rerank needs one that reads pairs of texts"
        )
    return head


def query_prompt(session: Session) -> str:
    """The text of the prompt for queries, or else of the default prompt.

    The default prompt is what `CrossEncoder` of sentence-transformers uses.
    """
    if session.family == "bothways":
        return ""  # bothways trains heads without prompts
    prompts = session.spec.prompts
    return prompts.get("query", prompts.get(session.spec.default_prompt or "", ""))


def _gives_scores(head: Head) -> bool:
    """Whether the outputs of a head are scores: a single one, or those of two classes."""
    return head.num_outputs == (2 if head.task == "classes" else 1)
