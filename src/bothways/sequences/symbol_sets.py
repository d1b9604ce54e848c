"""The symbols of the ready-made alphabets: proteins, DNA and SMILES, with their sources."""

import itertools

__all__ = [
    "AMBIGUOUS_BASES",
    "AMINO_ACIDS",
    "BASES",
    "MAX_K",
    "SMILES_PATTERN",
    "SMILES_SYMBOLS",
    "kmers",
]

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY" + "BJOUXZ"
"""The twenty, then B (Asx), J (Xle), O (Pyl), U (Sec), X (any) and Z (Glx).

IUPAC-IUB 1983, "Nomenclature and symbolism for amino acids and peptides", table 1 (Eur. J. Biochem.
138, 1984); U and O as added since (NC-IUBMB newsletters of 1999 and 2009), J as in WIPO ST.26.
"""
BASES = "ACGT"
AMBIGUOUS_BASES = "RYSWKMBDHVN"
"""NC-IUB 1984, "Nomenclature for incompletely specified bases", table 1 (Cornish-Bowden 1985)."""

MAX_K = 8
"""The longest k-mers of a ready-made alphabet, of which there are 65,536."""

_SMILES_ATOMS = ("B", "C", "N", "O", "P", "S", "F", "Cl", "Br", "I", "b", "c", "n", "o", "p", "s")
_SMILES_MARKS = (*"()-=#$:/\\~.*", ">", ">>", *"0123456789")
SMILES_SYMBOLS = (*_SMILES_ATOMS, *_SMILES_MARKS, *(f"%{ring}" for ring in range(10, 100)))
"""All symbols but the bracket atoms, whose number is unlimited."""

SMILES_PATTERN = r"\[[^\[\]]+\]|Br|Cl|[BCNOPSFI]|[bcnops]|[0-9]|%[0-9]{2}|>>|[()\-=#$:/\\~.*>]"
"""Bracket atoms, the organic subset, ring bonds, reaction arrows, then bonds, branches and others.

Written from the grammar of Weininger 1988 and OpenSMILES 1.0, section 2. Bracket atoms are one
symbol as in Schwaller et al. 2018, "Found in Translation", section 2.3.
"""


def kmers(k: int) -> tuple[str, ...]:
    """All k-mers of A, C, G and T, in alphabetical order."""
    return tuple(map("".join, itertools.product(BASES, repeat=k)))
