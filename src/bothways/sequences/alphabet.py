"""An alphabet: the symbols that a model knows, their ids, and how a string is split into them.

Stored as `alphabet.json` in a model folder. `symbols.SymbolReader` reads sequences with it.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from bothways.errors import CheckpointError, InputError
from bothways.io.short_repr import ShortRepr
from bothways.sequences import symbol_sets
from bothways.sequences.alphabet_file import (
    ALPHABET_FILE,
    read_alphabet_fields,
    write_alphabet_fields,
)
from bothways.sequences.safe_patterns import LONGEST_SYMBOL
from bothways.sequences.splitters import (
    Kmers,
    LongestMatch,
    Pattern,
    Pieces,
    Splitting,
    make_splitter,
)
from bothways.sequences.symbol_counts import frequent_symbols

__all__ = ["ALPHABET_FILE", "Alphabet"]

_ROLES = ("begin", "end", "unknown", "mask")
_SPECIAL_SYMBOLS = _BEGIN, _END, _UNKNOWN, _MASK = ("<begin>", "<end>", "<unknown>", "<mask>")

_LONGEST_MATCH = LongestMatch()
_TO_UPPER = {ord(letter): letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Alphabet(ShortRepr):
    """The symbols of one kind of sequence; the id of a symbol is its index in `symbols`.

    symbols: all symbols, including the special ones.
    splitting: how a string is split into symbols. Lists of symbols are not split.
    begin, end: added before and after each sequence; None for nothing.
    unknown: replaces symbols outside the alphabet; None to refuse them.
    mask: replaces symbols in masked-symbol training.
    outside: whether `unknown` replaces `each` piece outside the alphabet, or `runs` of them; with
        `runs`, whitespace between symbols is skipped.
    case: `exact`, or `upper` to read a to z as A to Z.

    A special symbol that is written out in a sequence is read as that symbol.

    Raises:
        InputError: names the field, its value, and what was expected.
    """

    symbols: tuple[str, ...]
    splitting: Splitting = _LONGEST_MATCH
    begin: str | None = None
    end: str | None = None
    unknown: str | None = None
    mask: str | None = None
    outside: Literal["each", "runs"] = "each"
    case: Literal["exact", "upper"] = "exact"

    def __post_init__(self) -> None:
        _check_symbols(self.symbols)
        symbols = frozenset(self.symbols)
        for role, symbol in self.special.items():
            if not isinstance(symbol, str) or symbol not in symbols:
                raise InputError(f"{role}={symbol!r} is not among the symbols; add it to them")
        if not isinstance(self.splitting, Splitting):
            raise InputError(
                f"splitting={self.splitting!r}: expected LongestMatch(), Separator(), Pattern() or "
                "Kmers()"
            )
        for field, choices in (("outside", ("each", "runs")), ("case", ("exact", "upper"))):
            if getattr(self, field) not in choices:
                raise InputError(f"{field}={getattr(self, field)!r}: expected one of {choices}")
        if self.outside == "runs" and self.unknown is None:
            raise InputError("outside='runs' needs an unknown symbol to replace them")
        if len(self.ids) != len(self.symbols):
            raise InputError("case='upper': some symbols differ only in case")

    def __len__(self) -> int:
        """The number of symbols: the vocabulary size of a model for this alphabet."""
        return len(self.symbols)

    @property
    def special(self) -> dict[str, str]:
        """The special symbols by role, without the roles that are None."""
        return {role: getattr(self, role) for role in _ROLES if getattr(self, role) is not None}

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """The id of each symbol, by the symbol after `fold`."""
        return {self.fold(symbol): index for index, symbol in enumerate(self.symbols)}

    def id_of(self, symbol: str) -> int:
        """The id of a symbol.

        Raises:
            InputError: if it is not in the alphabet.
        """
        if (symbol_id := self.ids.get(self.fold(symbol))) is None:
            raise InputError(f"{symbol!r:.80} is not in the alphabet of {self.summary()}")
        return symbol_id

    def split(self, text: str) -> Pieces:
        """Split a string into symbols, also those outside the alphabet, with their positions."""
        return self._splitter(self.fold(text))

    def fold(self, text: str) -> str:
        """Convert a string to upper case if `case` is `upper`, character by character."""
        return _fold(text, self.case)

    @cached_property
    def _splitter(self) -> Callable[[str], Pieces]:
        return make_splitter(self.splitting, tuple(self.ids))

    def summary(self) -> str:
        """The number of symbols and the first 40, for messages."""
        shown = " ".join(self.symbols[:40])
        return f"{len(self)} symbols: {shown}{' ...' if len(self) > 40 else ''}"

    @classmethod
    def from_sequences(
        cls,
        sequences: Iterable[str | Sequence[str]],
        *,
        splitting: Splitting = _LONGEST_MATCH,
        begin: str | None = _BEGIN,
        end: str | None = _END,
        unknown: str | None = _UNKNOWN,
        mask: str | None = _MASK,
        min_count: int = 1,
        max_symbols: int | None = None,
        case: Literal["exact", "upper"] = "exact",
    ) -> Self:
        """The alphabet of the symbols in sequences: special symbols first, then by frequency.

        splitting: with `LongestMatch()`, every character is a symbol.
        min_count: leave out symbols that occur less often.
        max_symbols: limit the number of symbols, including the special ones.

        Raises:
            InputError: names the sequence that is neither a string nor a list of strings.
        """
        special = [symbol for symbol in (begin, end, unknown, mask) if symbol is not None]
        split = make_splitter(splitting, special)
        frequent = frequent_symbols(
            sequences,
            lambda text: split(_fold(text, case)),
            min_count=min_count,
            exclude=special,
        )
        return cls(
            symbols=tuple([*special, *frequent][:max_symbols]),
            splitting=splitting,
            begin=begin,
            end=end,
            unknown=unknown,
            mask=mask,
            case=case,
        )

    @classmethod
    def protein(cls) -> Self:
        """The alphabet of residues in one-letter code, in either case; `*` is a stop, `-` a gap.

        X stands for any residue, so there is no unknown symbol: other characters are refused.
        """
        symbols = (*_SPECIAL_SYMBOLS, *symbol_sets.AMINO_ACIDS, "*", "-")
        return cls(symbols=symbols, begin=_BEGIN, end=_END, mask=_MASK, case="upper")

    @classmethod
    def dna(cls, k: int = 1, stride: int = 1) -> Self:
        """The alphabet of DNA, in either case: single bases, or k-mers for k above 1.

        Single bases include the codes for ambiguous ones; other characters are refused. k-mers are
        all those of A, C, G and T, and the four bases for ends that no k-mer covers; others are
        unknown.

        Raises:
            InputError: if k is above 8, or the stride is above k and would leave out bases.
        """
        if not 1 <= k <= symbol_sets.MAX_K:
            raise InputError(f"k={k}: expected 1 to 8, for which there are {4**8} k-mers")
        if not 1 <= stride <= k:
            raise InputError(f"stride={stride}: expected 1 to k={k}, so that no base is left out")
        if k == 1:
            symbols = (*_SPECIAL_SYMBOLS, *symbol_sets.BASES, *symbol_sets.AMBIGUOUS_BASES)
            return cls(symbols=symbols, begin=_BEGIN, end=_END, mask=_MASK, case="upper")
        return cls(
            symbols=(*_SPECIAL_SYMBOLS, *symbol_sets.kmers(k), *symbol_sets.BASES),
            splitting=Kmers(k, stride),
            begin=_BEGIN,
            end=_END,
            unknown=_UNKNOWN,
            mask=_MASK,
            case="upper",
        )

    @classmethod
    def smiles(cls, sequences: Iterable[str] = ()) -> Self:
        """The alphabet of SMILES: atoms, bonds, branches, rings and the bracket atoms in data.

        The number of possible bracket atoms, such as [C@H], is unlimited, so they are taken from
        data; others are unknown.
        """
        from_data = cls.from_sequences(sequences, splitting=Pattern(symbol_sets.SMILES_PATTERN))
        brackets = tuple(s for s in from_data.symbols if s.startswith("[") and s.endswith("]"))
        symbols = (*_SPECIAL_SYMBOLS, *symbol_sets.SMILES_SYMBOLS, *brackets)
        return dataclasses.replace(from_data, symbols=symbols)

    def save(self, path: Path) -> None:
        """Write `alphabet.json`."""
        names = [field.name for field in dataclasses.fields(self)]
        write_alphabet_fields(path, {name: getattr(self, name) for name in names})

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read `alphabet.json`.

        Raises:
            CheckpointError: names the file, and the field that is wrong.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        fields = read_alphabet_fields(path, names)
        try:
            return cls(**fields)
        except InputError as error:
            raise CheckpointError(f"{path}: {error}") from None


def _fold(text: str, case: Literal["exact", "upper"]) -> str:
    return text.translate(_TO_UPPER) if case == "upper" else text


def _check_symbols(symbols: Sequence[Any]) -> None:
    if not isinstance(symbols, tuple) or not symbols:
        raise InputError(f"symbols: expected a tuple of at least one string, got {symbols!r:.80}")
    ids: dict[str, int] = {}
    for index, symbol in enumerate(symbols):
        if not isinstance(symbol, str) or not 1 <= len(symbol) <= LONGEST_SYMBOL:
            raise InputError(
                f"symbols[{index}]={symbol!r:.80}: expected a string of 1 to {LONGEST_SYMBOL} "
                "characters"
            )
        if (first := ids.setdefault(symbol, index)) != index:
            raise InputError(f"symbols[{index}]={symbol!r}: already the symbol of id {first}")
        if any("\ud800" <= char <= "\udfff" for char in symbol):
            raise InputError(f"symbols[{index}]={symbol!r}: contains half of a surrogate pair")
