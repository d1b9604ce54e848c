"""What the tokens of a vocabulary are called, by their ids."""

from bothways.sequences.reader import SequenceReader
from bothways.sequences.symbols import SymbolReader

__all__ = ["token_names"]


def token_names(reader: SequenceReader | None, vocab_size: int) -> tuple[str, ...]:
    """A name for each id below `vocab_size`: as the vocabulary writes it, else the id itself.

    Encoders often have room for more ids than their tokenizer gives.
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
    # Here, so that models of other kinds do without the library.
    from bothways.sequences.text import TextReader

    return reader.tokenizer.get_vocab() if isinstance(reader, TextReader) else {}
