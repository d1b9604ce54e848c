"""Alphabets: learned from data, ready-made, stored, and invalid ones."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways.errors import CheckpointError, InputError
from bothways.sequences import Alphabet, Kmers, LongestMatch, Pattern, Separator
from bothways.sequences.symbol_sets import SMILES_PATTERN

MOLECULES = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "C[C@H](N)C(=O)O.[Na+]",
    "CBr.ClC%12CC%12>>CC",
    r"F/C=C\F",
    "[13CH4]",
]

ALPHABETS = [
    Alphabet.protein(),
    Alphabet.dna(),
    Alphabet.dna(3),
    Alphabet.dna(6, 6),
    Alphabet.smiles(MOLECULES),
    Alphabet.from_sequences(["login,buy", "login"], splitting=Separator(",")),
    Alphabet(symbols=("é", "\u2028", '"', "\\"), splitting=Separator(None)),
    Alphabet(symbols=("a", "?"), unknown="?", outside="runs", case="upper"),
]


@pytest.mark.parametrize("alphabet", ALPHABETS, ids=len)
def test_an_alphabet_round_trips_through_its_file(alphabet: Alphabet, tmp_path: Path) -> None:
    alphabet.save(tmp_path / "alphabet.json")
    assert Alphabet.open(tmp_path / "alphabet.json") == alphabet


@settings(deadline=None)
@given(symbols=st.lists(st.text(min_size=1, max_size=5), min_size=1, unique=True))
def test_any_valid_symbols_round_trip(
    symbols: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("alphabet") / "alphabet.json"
    alphabet = Alphabet(symbols=tuple(symbols))
    alphabet.save(path)
    assert Alphabet.open(path) == alphabet


def test_ids_are_indices_of_symbols() -> None:
    alphabet = Alphabet(symbols=("a", "b"))
    assert (alphabet.id_of("b"), len(alphabet)) == (1, 2)
    with pytest.raises(InputError, match="'z' is not in the alphabet of 2 symbols: a b"):
        alphabet.id_of("z")


def test_the_protein_alphabet_has_the_iupac_letters() -> None:
    alphabet = Alphabet.protein()
    letters = {s for s in alphabet.symbols if s.isalpha()}
    assert letters == set("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert alphabet.special == {"begin": "<begin>", "end": "<end>", "mask": "<mask>"}
    assert alphabet.split("mKt*")[0] == ["M", "K", "T", "*"]


def test_the_dna_alphabet_has_bases_or_kmers() -> None:
    assert set(Alphabet.dna().symbols[4:]) == set("ACGTRYSWKMBDHVN")
    threes = Alphabet.dna(3)
    assert len(threes) == 4 + 4**3 + 4
    assert threes.split("acgtn")[0] == ["ACG", "CGT", "GTN"]
    for k, stride in ((0, 1), (9, 1), (3, 4), (3, 0)):
        with pytest.raises(InputError, match="expected 1 to"):
            Alphabet.dna(k, stride)


@pytest.mark.parametrize("molecule", MOLECULES)
def test_smiles_are_split_into_atoms_bonds_and_marks(molecule: str) -> None:
    alphabet = Alphabet.smiles(MOLECULES)
    pieces, _ = alphabet.split(molecule)
    assert "".join(pieces) == molecule
    assert set(pieces) <= set(alphabet.symbols)


def test_two_letter_and_bracket_atoms_of_smiles_are_single_symbols() -> None:
    pieces, _ = Alphabet.smiles().split("Cl[C@@H]Brc%10>>[nH]")
    assert pieces == ["Cl", "[C@@H]", "Br", "c", "%10", ">>", "[nH]"]
    assert "[nH]" not in Alphabet.smiles().symbols
    assert "[nH]" in Alphabet.smiles(["c1cc[nH]c1"]).symbols


def test_a_published_smiles_vocabulary_covers_the_pattern(rxnmapper_folder: Path) -> None:
    symbols = tuple((rxnmapper_folder / "vocab.txt").read_text(encoding="utf-8").splitlines())
    alphabet = Alphabet(
        symbols=symbols,
        splitting=Pattern(SMILES_PATTERN),
        begin="[CLS]",
        end="[SEP]",
        unknown="[UNK]",
        mask="[MASK]",
    )
    for molecule in MOLECULES[:3]:
        assert set(alphabet.split(molecule)[0]) <= set(symbols)


def test_symbols_from_data_are_ordered_by_frequency() -> None:
    alphabet = Alphabet.from_sequences(["bba", "abbc"], begin="^", end=None, unknown="?", mask=None)
    assert alphabet.symbols == ("^", "?", "b", "a", "c")
    assert Alphabet.from_sequences(["bba", "abbc"], min_count=2).symbols[4:] == ("b", "a")
    assert Alphabet.from_sequences(["bba", "abbc"], max_symbols=5).symbols[4:] == ("b",)
    assert Alphabet.from_sequences(["aB"], case="upper").symbols[4:] == ("A", "B")
    assert Alphabet.from_sequences([["log in", "buy"], ("buy",)]).symbols[4:] == ("buy", "log in")
    assert Alphabet.from_sequences(["a<mask>a"]).symbols[4:] == ("a",)
    assert Alphabet.from_sequences(["ACG"], splitting=Kmers(2)).symbols[4:] == ("AC", "CG")


@pytest.mark.parametrize("wrong", [None, 3, ["a", 3], {"a": 1}])
def test_data_that_is_not_a_sequence_is_an_error_that_names_it(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"^sequence 1: expected a string"):
        Alphabet.from_sequences(["a", wrong])


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"symbols": ()}, "at least one"),
        ({"symbols": ["a"]}, "tuple"),
        ({"symbols": ("a", "")}, r"symbols\[1\]=''"),
        ({"symbols": ("a" * 257,)}, "1 to 256 characters"),
        ({"symbols": ("a", 3)}, r"symbols\[1\]=3"),
        ({"symbols": ("a", "b", "a")}, "already the symbol of id 0"),
        ({"symbols": ("a", "\ud800")}, "surrogate"),
        ({"begin": "z"}, "begin='z' is not among"),
        ({"mask": 3}, "mask=3 is not among"),
        ({"splitting": "longest"}, "splitting='longest'"),
        ({"outside": "all"}, "outside='all'"),
        ({"outside": "runs"}, "needs an unknown symbol"),
        ({"case": "lower"}, "case='lower'"),
        ({"symbols": ("a", "A"), "case": "upper"}, "differ only in case"),
    ],
)
def test_a_contradictory_alphabet_is_refused(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        Alphabet(**{"symbols": ("a", "b"), **fields})


def edited(path: Path, **changes: Any) -> Path:
    Alphabet(symbols=("a", "b")).save(path)
    fields = json.loads(path.read_text(encoding="utf-8"))
    for name, value in changes.items():
        if value is ...:
            del fields[name]
        else:
            fields[name] = value
    path.write_text(json.dumps(fields), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"format": "bothways alphabet 2"}, "format='bothways alphabet 2'"),
        ({"format": ...}, "format=None"),
        ({"symbols": ...}, "'symbols' is missing"),
        ({"color": "red"}, "'color' is unknown"),
        ({"symbols": "ab"}, "symbols: expected a list"),
        ({"symbols": []}, "at least one"),
        ({"symbols": ["a", None]}, r"symbols\[1\]=None"),
        ({"symbols": [["a"]]}, r"symbols\[0\]=\['a'\]"),
        ({"splitting": "longest"}, "splitting: expected an object"),
        ({"splitting": {"by": "os.system"}}, "splitting: "),
        ({"splitting": {"by": "pattern", "pattern": "(a+)+$"}}, "splitting: character 0"),
        ({"begin": "z"}, "begin='z'"),
        ({"unknown": ["a"]}, r"unknown=\['a'\]"),
        ({"outside": {}}, "outside={}"),
        ({"case": ["upper"]}, "case="),
    ],
)
def test_a_malformed_alphabet_file_is_an_error_that_names_the_field(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    path = edited(tmp_path / "alphabet.json", **changes)
    with pytest.raises(CheckpointError, match=named) as error:
        Alphabet.open(path)
    assert str(path) in str(error.value)


def test_the_file_has_the_fields_of_the_alphabet(tmp_path: Path) -> None:
    alphabet = Alphabet(symbols=("a", "b", "^"), begin="^", splitting=Separator(","))
    alphabet.save(tmp_path / "alphabet.json")
    fields = json.loads((tmp_path / "alphabet.json").read_text(encoding="utf-8"))
    assert fields["splitting"] == {"by": "separator", "separator": ","}
    assert fields["symbols"] == ["a", "b", "^"]
    assert set(fields) == {field.name for field in dataclasses.fields(Alphabet)} | {"format"}


def test_alphabets_are_equal_and_hashed_by_value() -> None:
    assert Alphabet.protein() == Alphabet.protein()
    assert len({Alphabet.dna(), Alphabet.dna(), Alphabet.dna(2)}) == 2
    assert Alphabet(symbols=("a",)).splitting == LongestMatch()
