"""An alphabet: the symbols a model knows, how a string is cut into them, and the special ones.

Saved as `alphabet.json` beside a model. `symbols.SymbolReader` reads sequences with it.
"""

import collections
import dataclasses
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from bothways.errors import CheckpointError, InputError
from bothways.io.json_files import read_object
from bothways.sequences.safe_patterns import LONGEST_SYMBOL
from bothways.sequences.splitters import (
    Kmers,
    Longest,
    Pattern,
    Pieces,
    Splitting,
    from_fields,
    splitter,
    to_fields,
)

__all__ = ["ALPHABET_FILE", "Alphabet"]

ALPHABET_FILE = "alphabet.json"
_FORMAT = "bothways alphabet 1"
_ROLES = ("begin", "end", "unknown", "mask")
_SPECIAL_SYMBOLS = _BEGIN, _END, _UNKNOWN, _MASK = ("<begin>", "<end>", "<unknown>", "<mask>")

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY" + "BJOUXZ"
"""The twenty, then B (Asx), J (Xle), O (Pyl), U (Sec), X (any) and Z (Glx).

IUPAC-IUB 1983, "Nomenclature and symbolism for amino acids and peptides", table 1 (Eur. J. Biochem.
138, 1984); U and O as added since (NC-IUBMB newsletters of 1999 and 2009), J as in WIPO ST.26.
"""
BASES = "ACGT"
AMBIGUOUS_BASES = "RYSWKMBDHVN"
"""NC-IUB 1984, "Nomenclature for incompletely specified bases", table 1 (Cornish-Bowden 1985)."""

SMILES_ATOMS = ("B", "C", "N", "O", "P", "S", "F", "Cl", "Br", "I", "b", "c", "n", "o", "p", "s")
SMILES_MARKS = (*"()-=#$:/\\~.*", ">", ">>", *"0123456789")
SMILES_PATTERN = r"\[[^\[\]]+\]|Br|Cl|[BCNOPSFI]|[bcnops]|[0-9]|%[0-9]{2}|>>|[()\-=#$:/\\~.*>]"
"""Bracket atoms, the organic subset, ring bonds, reaction arrows, then bonds, branches and others.

Written from the grammar of Weininger 1988 and OpenSMILES 1.0, section 2; whole bracket atoms as
symbols as in Schwaller et al. 2018, "Found in Translation", section 2.3.
"""

_LONGEST = Longest()
_TO_UPPER = {ord(letter): letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Alphabet:
    """The symbols of a kind of sequence; the id of a symbol is its place in `symbols`.

    symbols: all of them, the special ones included.
    splitting: how a string becomes symbols; a list of symbols needs none.
    begin, end: put before and after each sequence, where given.
    unknown: stands for what is outside the alphabet; None to refuse it.
    mask: hides a symbol in masked-symbol training.
    outside: whether `unknown` stands for `each` piece outside the alphabet, or for `runs` of them,
        with whitespace around symbols skipped.
    case: `exact`, or `upper` for a and A, to z and Z, to be the same symbol.

    A special symbol written in a sequence is read as that symbol.

    Raises:
        InputError: naming the field, what is wrong, and what was expected.
    """

    symbols: tuple[str, ...]
    splitting: Splitting = _LONGEST
    begin: str | None = None
    end: str | None = None
    unknown: str | None = None
    mask: str | None = None
    outside: Literal["each", "runs"] = "each"
    case: Literal["exact", "upper"] = "exact"

    def __post_init__(self) -> None:
        _check_symbols(self.symbols)
        known = frozenset(self.symbols)
        for role, symbol in self.special.items():
            if not isinstance(symbol, str) or symbol not in known:
                raise InputError(f"{role}={symbol!r} is not among the symbols; add it to them")
        if not isinstance(self.splitting, Splitting):
            raise InputError(
                f"splitting={self.splitting!r}: expected Longest(), Separator(), Pattern() or "
                "Kmers()"
            )
        for field, choices in (("outside", ("each", "runs")), ("case", ("exact", "upper"))):
            if getattr(self, field) not in choices:
                raise InputError(f"{field}={getattr(self, field)!r}: expected one of {choices}")
        if self.outside == "runs" and self.unknown is None:
            raise InputError("outside='runs' needs an unknown symbol to stand for them")
        if len(self.ids) != len(self.symbols):
            raise InputError("case='upper': some symbols differ in their case only")

    def __len__(self) -> int:
        """How many symbols there are: the vocabulary of a model for this alphabet."""
        return len(self.symbols)

    @property
    def special(self) -> dict[str, str]:
        """The special symbols by their role, those that there are."""
        return {role: getattr(self, role) for role in _ROLES if getattr(self, role) is not None}

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """The id of each symbol, as `fold` writes it."""
        return {self.fold(symbol): place for place, symbol in enumerate(self.symbols)}

    def id_of(self, symbol: str) -> int:
        """The id of a symbol.

        Raises:
            InputError: if it is not in the alphabet.
        """
        if (found := self.ids.get(self.fold(symbol))) is None:
            raise InputError(f"{symbol!r:.80} is not in the alphabet of {self.summary()}")
        return found

    def split(self, text: str) -> Pieces:
        """The symbols a string is written in, also those outside the alphabet, and their places."""
        return self._splitter(self.fold(text))

    def fold(self, text: str) -> str:
        """A string or symbol in upper case where `case` says so, character for character."""
        return text.translate(_TO_UPPER) if self.case == "upper" else text

    @cached_property
    def _splitter(self) -> Callable[[str], Pieces]:
        return splitter(self.splitting, tuple(self.ids))

    def summary(self) -> str:
        """The alphabet in a few words, for messages."""
        shown = " ".join(self.symbols[:40])
        return f"{len(self)} symbols: {shown}{' ...' if len(self) > 40 else ''}"

    # Alphabets of data.

    @classmethod
    def from_sequences(
        cls,
        sequences: Iterable[str | Sequence[str]],
        *,
        splitting: Splitting = _LONGEST,
        begin: str | None = _BEGIN,
        end: str | None = _END,
        unknown: str | None = _UNKNOWN,
        mask: str | None = _MASK,
        min_count: int = 1,
        max_symbols: int | None = None,
        case: Literal["exact", "upper"] = "exact",
    ) -> Self:
        """The symbols that occur in sequences, the most frequent first, after the special ones.

        splitting: with `Longest()`, every character is a symbol.
        min_count: leave out symbols that occur less often.
        max_symbols: keep at most this many, special ones included.

        Raises:
            InputError: naming a sequence that is neither a string nor a list of strings.
        """
        special = [symbol for symbol in (begin, end, unknown, mask) if symbol is not None]
        split = splitter(splitting, special)
        counts: collections.Counter[str] = collections.Counter()
        for index, sequence in enumerate(sequences):
            if isinstance(sequence, str):
                counts.update(
                    split(sequence.translate(_TO_UPPER) if case == "upper" else sequence)[0]
                )
            elif isinstance(sequence, list | tuple) and all(isinstance(s, str) for s in sequence):
                counts.update(sequence)
            else:
                raise InputError("expected a string, or a list of strings", sequence=index)
        found = sorted(
            (s for s, count in counts.items() if count >= min_count and s and s not in special),
            key=lambda symbol: (-counts[symbol], symbol),
        )
        return cls(
            symbols=tuple([*special, *found][:max_symbols]),
            splitting=splitting,
            begin=begin,
            end=end,
            unknown=unknown,
            mask=mask,
            case=case,
        )

    # Ready-made alphabets.

    @classmethod
    def protein(cls) -> Self:
        """Residues in one-letter code, in either case, with `*` for a stop and `-` for a gap.

        X is any residue, so nothing is unknown: what is no residue is refused.
        """
        symbols = (*_SPECIAL_SYMBOLS, *AMINO_ACIDS, "*", "-")
        return cls(symbols=symbols, begin=_BEGIN, end=_END, mask=_MASK, case="upper")

    @classmethod
    def dna(cls, k: int = 1, stride: int = 1) -> Self:
        """Bases, in either case: one by one with the codes for ambiguous ones, or as k-mers.

        One by one, what is no base is refused. With k above 1, the symbols are all k-mers of A, C,
        G and T, then the four bases for ends that no k-mer reaches; the rest is unknown.

        Raises:
            InputError: if k is above 8, or the stride would leave bases out.
        """
        if not 1 <= k <= 8:
            raise InputError(f"k={k}: expected 1 to 8, with which there are {4**8} k-mers")
        if not 1 <= stride <= k:
            raise InputError(f"stride={stride}: expected 1 to k={k}, so that no base is left out")
        if k == 1:
            symbols = (*_SPECIAL_SYMBOLS, *BASES, *AMBIGUOUS_BASES)
            return cls(symbols=symbols, begin=_BEGIN, end=_END, mask=_MASK, case="upper")
        kmers = map("".join, itertools.product(BASES, repeat=k))
        return cls(
            symbols=(*_SPECIAL_SYMBOLS, *kmers, *BASES),
            splitting=Kmers(k, stride),
            begin=_BEGIN,
            end=_END,
            unknown=_UNKNOWN,
            mask=_MASK,
            case="upper",
        )

    @classmethod
    def smiles(cls, sequences: Iterable[str] = ()) -> Self:
        """SMILES: atoms, bonds, branches, rings, and the bracket atoms that occur in `sequences`.

        Bracket atoms such as [C@H] are without number, so a model's alphabet takes them from data;
        others are unknown.
        """
        pattern = Pattern(SMILES_PATTERN)
        found = cls.from_sequences(sequences, splitting=pattern)
        fixed = (*SMILES_ATOMS, *SMILES_MARKS, *(f"%{ring}" for ring in range(10, 100)))
        brackets = tuple(s for s in found.symbols if s.startswith("[") and s.endswith("]"))
        return dataclasses.replace(found, symbols=(*_SPECIAL_SYMBOLS, *fixed, *brackets))

    # To and from alphabet.json.

    def save(self, path: Path) -> None:
        """Write `alphabet.json`."""
        fields = {
            "format": _FORMAT,
            "symbols": self.symbols,
            "splitting": to_fields(self.splitting),
            **{role: getattr(self, role) for role in _ROLES},
            "outside": self.outside,
            "case": self.case,
        }
        path.write_text(json.dumps(fields, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read `alphabet.json`.

        Raises:
            CheckpointError: naming the file and the field that is wrong.
        """
        fields = read_object(path)
        if (found := fields.pop("format", None)) != _FORMAT:
            raise CheckpointError(f"{path}: format={found!r}; expected {_FORMAT!r}")
        expected = {field.name for field in dataclasses.fields(cls)}
        if set(fields) != expected:
            wrong = sorted(set(fields) ^ expected)[0]
            problem = "unknown" if wrong in fields else "missing"
            raise CheckpointError(f"{path}: field {wrong!r} is {problem}")
        if not isinstance(fields["symbols"], list):
            raise CheckpointError(f"{path}: symbols: expected a list of strings")
        if not isinstance(fields["splitting"], Mapping):
            raise CheckpointError(f"{path}: splitting: expected an object")
        try:
            fields["splitting"] = from_fields(fields["splitting"])
        except ValueError as error:
            raise CheckpointError(f"{path}: splitting: {error}") from None
        return cls._of_fields(fields, path)

    @classmethod
    def _of_fields(cls, fields: Mapping[str, Any], path: Path) -> Self:
        try:
            return cls(**{**fields, "symbols": tuple(fields["symbols"])})
        except InputError as error:
            raise CheckpointError(f"{path}: {error}") from None


def _check_symbols(symbols: Sequence[Any]) -> None:
    if not isinstance(symbols, tuple) or not symbols:
        raise InputError(f"symbols: expected a tuple of at least one string, got {symbols!r:.80}")
    seen: dict[str, int] = {}
    for place, symbol in enumerate(symbols):
        if not isinstance(symbol, str) or not 1 <= len(symbol) <= LONGEST_SYMBOL:
            raise InputError(
                f"symbols[{place}]={symbol!r:.80}: expected a string of 1 to {LONGEST_SYMBOL} "
                "characters"
            )
        if (first := seen.setdefault(symbol, place)) != place:
            raise InputError(f"symbols[{place}]={symbol!r}: already the symbol of id {first}")
        if any("\ud800" <= char <= "\udfff" for char in symbol):
            raise InputError(f"symbols[{place}]={symbol!r}: holds half of a surrogate pair")
