"""The names of the tokens of a vocabulary, by id."""

from bothways.sequences.reader import SequenceReader
from bothways.sequences.symbols import SymbolReader

__all__ = ["token_names"]


def token_names(reader: SequenceReader | None, vocab_size: int) -> tuple[str, ...]:
    """The name of each id below `vocab_size`: the token in the vocabulary, or else the id itself.

    Many encoders have more embeddings than their tokenizer has tokens.
    """
    names = [str(index) for index in range(vocab_size)]
    for name, index in _vocabulary(reader).items():
        if index < vocab_size:
            names[index] = name
    return tuple(names)


def _vocabulary(reader: SequenceReader | None) -> dict[str, int]:
    if isinstance(reader, SymbolReader):
        return {symbol: index for index, symbol in enumerate(reader.alphabet.symbols)}
    if reader is None or reader.kind != "text":
        return {}
    # Imported here, so that other kinds of models do not load the tokenizers library.
    from bothways.sequences.text import TextReader

    return reader.vocabulary if isinstance(reader, TextReader) else {}
