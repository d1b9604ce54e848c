"""Write labeled files of sequences other than text, for `bothways train` and `compare`.

    python examples/labeled_file.py peptides peptides.csv
    bothways compare data peptides.csv --alphabet protein

    python examples/labeled_file.py lists lists.csv
    bothways compare data lists.csv --alphabet words

The peptides are those of `peptides_amp.py`, labeled antimicrobial or other. The lists are nested
operations on digits (Nangia and Bowman 2018, "ListOps: A Diagnostic Dataset for Latent Tree
Learning"): the label of `[MAX 2 9 [MIN 4 7 ] 0 ]` is 9. The script generates 20,000 of them.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from bothways.lab.tasks.listops import SOURCE_ALPHABET, TARGET_ALPHABET, ListOpsTask
from fetching import python_package
from peptides_amp import CLASSES, FILE, WHEEL, read_peptides

NUM_LISTS = 20_000


def peptides() -> Iterator[tuple[str, str]]:
    """Yield amino acid sequences with their classes; the file is sorted by class."""
    data = read_peptides(python_package(WHEEL) / FILE)
    for sequence, label in zip(data.sequences, data.classes, strict=True):
        yield sequence, CLASSES[label]


def lists() -> Iterator[tuple[str, str]]:
    """Yield expressions, with a space between symbols, and their values."""
    pairs = ListOpsTask().pairs(NUM_LISTS, seed=0, step=0)
    for source, target in zip(pairs.sources, pairs.targets, strict=True):
        yield " ".join(SOURCE_ALPHABET.decode(source)), "".join(TARGET_ALPHABET.decode(target))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the selected data set to a file."""
    datasets = {"lists": lists, "peptides": peptides}
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dataset", choices=datasets)
    parser.add_argument("file", type=Path, help="the .csv file to write")
    options = parser.parse_args(arguments)
    rows = list(datasets[options.dataset]())
    with options.file.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("sequence", "label"), *rows])
    print(f"{options.file}: {len(rows):,} rows")


if __name__ == "__main__":
    main()
