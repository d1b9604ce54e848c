"""The examples on texts, series and symbols read their data as documented."""

import csv
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import boiling_points
import labeled_file
import peptides_amp
import series_vowels
import text_r8
from bothways.lab.tasks.listops import solve
from fetching import FetchError


def test_the_header_of_the_news_file_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "news.tab"
    file.write_text("Category\tText\nd\tstring\nclass\t\n\nearn\tprofits rose \nacq\ta bid\n")
    texts = text_r8.read_texts(file)
    assert texts == text_r8.Texts(["profits rose ", "a bid"], ["earn", "acq"])
    assert texts.subset(1) == text_r8.Texts(["profits rose "], ["earn"])


def test_channels_become_columns(tmp_path: Path) -> None:
    file = tmp_path / "vowels.ts"
    file.write_text("# nine speakers\n@data\n1,2,3:4,5,6:7\n0.5:-1:2\n")
    utterances = series_vowels.read_utterances(file)
    assert [series.tolist() for series in utterances.series] == [
        [[1, 4], [2, 5], [3, 6]],
        [[0.5, -1]],
    ]
    assert utterances.speakers == ["7", "2"]
    assert series_vowels.summaries(utterances.series)[1].tolist() == [
        0.5,
        -1,
        0,
        0,
        0.5,
        -1,
        0.5,
        -1,
    ]


def test_repeated_peptides_are_kept_once_and_contradictory_ones_dropped(tmp_path: Path) -> None:
    file = tmp_path / "peptides.csv"
    file.write_text("5,1,UniProt,AMP\nKK, 1\nAA, 0\nKK, 1\nAC, 1\nAC, 0\n")
    peptides = peptides_amp.read_peptides(file)
    assert peptides.sequences == ["KK", "AA"]
    assert peptides.classes.tolist() == [1, 0]


def test_training_and_test_peptides_are_disjoint() -> None:
    sequences = [f"{a}{b}" for a in peptides_amp.AMINO_ACIDS for b in peptides_amp.AMINO_ACIDS]
    classes = np.arange(len(sequences)) % 2
    training, test = peptides_amp.split(peptides_amp.Peptides(sequences, classes))
    assert set(training.sequences).isdisjoint(test.sequences)
    assert len(test.sequences) == len(sequences) // 5
    assert test.classes.mean() == 0.5


def test_composition_has_fractions_and_the_length() -> None:
    (row,) = peptides_amp.composition(["AAK"])
    assert row[:20].sum() == pytest.approx(1)
    assert row[peptides_amp.AMINO_ACIDS.index("A")] == pytest.approx(2 / 3)
    assert row[20] == pytest.approx(np.log(3))


@pytest.mark.parametrize(
    ("smiles", "organic"),
    [
        ("C[C@H](O)C#N", True),
        ("c1cc[nH]c1", True),
        ("[2H]C(Cl)Br", True),
        ("C[Si](C)(C)C", True),
        ("[Na+].[Cl-]", False),
        ("CC.O", False),
        ("C[Hg]C", False),
        ("C[Se]C", False),
        ("O", False),
        ("Cl", False),
        ("", False),
    ],
)
def test_organic_molecules_are_recognized(smiles: str, organic: bool) -> None:
    assert boiling_points.is_organic(smiles) == organic


def test_structures_are_joined_by_cas_number(tmp_path: Path) -> None:
    for name in boiling_points.STRUCTURES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\t1-1-1\tCH4\t16\tC\tx\n2\t2-2-2\tx\t1\tCC\tx\n")
    table = tmp_path / boiling_points.BOILING_POINTS
    table.parent.mkdir(parents=True)
    table.write_text("CAS\tTb\n1-1-1\t111.5\n2-2-2\t1200\n3-3-3\t300\n")
    assert list(boiling_points.read_molecules(tmp_path)) == [boiling_points.Molecule("C", 111.5)]


def test_stereoisomers_are_in_the_same_part() -> None:
    chains = ["C" * length for length in range(1, 60)]
    molecules = [
        boiling_points.Molecule(smiles, 1.0)
        for chain in chains
        for smiles in (f"{chain}/C=C/F", f"{chain}/C=C\\F", f"{chain}C=CF")
    ]
    parts = boiling_points.split(iter(molecules))
    assert sum(map(len, parts)) == len(molecules)
    assert all(len(part) and len(part) % 3 == 0 for part in parts)
    centers = [boiling_points.Molecule(f"C[C{mark}H](F)Cl", 1.0) for mark in ("@", "@@")]
    assert sorted(map(len, boiling_points.split(iter(centers)))) == [0, 0, 2]


# labeled_file


def test_the_labels_of_lists_are_their_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labeled_file, "NUM_LISTS", 50)
    labeled_file.main(["lists", str(tmp_path / "lists.csv")])
    header, *rows = csv.reader((tmp_path / "lists.csv").read_text(encoding="utf-8").splitlines())
    assert header == ["sequence", "label"]
    assert len(rows) == 50
    assert all(str(solve(expression.split())) == value for expression, value in rows)


def test_each_peptide_is_written_once(tmp_path: Path) -> None:
    try:
        labeled_file.main(["peptides", str(tmp_path / "peptides.csv")])
    except FetchError as error:
        pytest.skip(str(error))
    _, *rows = csv.reader((tmp_path / "peptides.csv").read_text(encoding="utf-8").splitlines())
    assert len({sequence for sequence, _ in rows}) == len(rows) > 4000
    assert {label for _, label in rows} == set(peptides_amp.CLASSES)


@pytest.mark.filterwarnings("ignore")  # scikit-learn warns about too little data
@pytest.mark.parametrize("example", [text_r8, series_vowels, peptides_amp, boiling_points])
def test_an_example_runs_to_completion(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "use_cores", lambda count: None)  # keeps this process unrestricted
    output = tmp_path / "figures.json"
    try:
        example.main(["--quick", "--output", str(output)])
    except FetchError as error:
        pytest.skip(str(error))
    assert json.loads(output.read_text())["machine"]
