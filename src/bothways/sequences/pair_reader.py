"""Reading pairs of a query and a document as one text, written by a template."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer, processors

from bothways.model.pair_template import PairTemplate
from bothways.sequences.reader import Description, Tokenized
from bothways.sequences.text import TextReader

__all__ = ["PairReader"]


class PairReader(TextReader):
    """A reader of texts that writes each pair by a template; a prompt is then its instruction.

    A pair whose first text begins as the template does is read as it is. Prefix and suffix of the
    template are special tokens around a pair, which is cut at its end if it is too long.

    Raises:
        CheckpointError: as `TextReader`.
    """

    def __init__(
        self, tokenizer: Tokenizer, template: PairTemplate, *, vocab_size: int, num_segments: int
    ) -> None:
        super().__init__(tokenizer, vocab_size=vocab_size, num_segments=num_segments)
        self._pair_text = template
        framed = Tokenizer.from_str(tokenizer.to_str())
        framed.post_processor = processors.TemplateProcessing(
            single="prefix $A suffix",
            special_tokens=[
                _frame(tokenizer, "prefix", template.prefix),
                _frame(tokenizer, "suffix", template.suffix),
            ],
        )
        self._framed = TextReader(framed, vocab_size=vocab_size, num_segments=num_segments)

    def read(
        self,
        sequences: Sequence[Any] | np.ndarray,
        *,
        prompt: str = "",
        max_length: int | None = None,
    ) -> list[Tokenized]:
        """As `TextReader.read`; `prompt` is the instruction of a pair."""
        rows = list(sequences)
        if not any(self._is_written(row) for row in rows):
            return super().read(rows, prompt=prompt, max_length=max_length)
        results: list[Tokenized] = []
        for is_written, group in itertools.groupby(rows, self._is_written):
            if is_written:
                texts = [self._pair_text.content(query, text, prompt) for query, text in group]
                results += map(_as_pair, self._framed.read(texts, max_length=max_length))
            else:
                results += super().read(list(group), prompt=prompt, max_length=max_length)
        return results

    def _is_written(self, row: Any) -> bool:
        """Whether a row is a pair that the template writes."""
        return (
            isinstance(row, tuple)
            and len(row) == 2
            and all(isinstance(text, str) for text in row)
            and not row[0].startswith(self._pair_text.prefix)
        )


def _frame(tokenizer: Tokenizer, name: str, text: str) -> dict[str, Any]:
    """A text as the special tokens of a post-processor."""
    encoding = tokenizer.encode(text, add_special_tokens=False)
    return {"id": name, "ids": encoding.ids, "tokens": encoding.tokens}


def _as_pair(tokenized: Tokenized) -> Tokenized:
    """The text as a pair whose second text is empty: it is cut as one, and never split."""
    content = len(tokenized) - tokenized.prefix - tokenized.suffix
    return dataclasses.replace(
        tokenized,
        first=content,
        describe=lambda: Description(tokenized.tokens, None),
    )
