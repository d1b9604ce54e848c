"""The examples read their data as documented, and run to completion on a small part of it."""

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import contrast_packages
import pretrain_wordnet
import tags_brown
from fetching import FetchError

# tags_brown


@pytest.mark.parametrize(
    ("tag", "kept"),
    [
        ("nn", "nn"),
        ("nn-tl", "nn"),
        ("vbn-tl-hl", "vbn"),
        ("ppss+md-nc", "ppss"),
        ("fw-at+nn-tl", "fw"),
        ("md*", "md*"),
        ("--", "--"),
        ("---hl", "--"),
        ("*-hl", "*"),
    ],
)
def test_only_the_part_of_speech_of_a_tag_is_kept(tag: str, kept: str) -> None:
    assert tags_brown.simplify_tag(tag) == kept


def test_the_tag_follows_the_last_slash_of_a_word() -> None:
    (sentence,) = tags_brown.read_sentences("\n\n\tand/or/cc 1/2/cd ./.\n\n")
    assert sentence == tags_brown.Sentence(["and/or", "1/2", "."], ["cc", "cd", "."])


def test_files_are_held_out_whole_and_fiction_is_excluded(tmp_path: Path) -> None:
    for name in ("ca01", "ca05", "ca10", "cj70", "ck01", "cats.txt"):
        (tmp_path / name).write_text(f"{name}/nn\n")
    parts = tags_brown.read_parts(tmp_path)
    words = [[sentence.tokens[0] for sentence in part] for part in parts]
    assert words == [["ca01"], ["ca05"], ["ca10", "cj70"]]


def test_an_unknown_word_gets_the_tag_of_rare_words() -> None:
    text = "the/at run/nn the/at run/nn They/pp run/vb Ann/np Bob/np the/at fog/nn"
    baseline = tags_brown.MostFrequentTag(list(tags_brown.read_sentences(text)))
    assert baseline.tag(["run", "Zoe", "zebra"]) == ["nn", "np", "nn"]


# pretrain_wordnet


def test_glosses_are_read_without_examples() -> None:
    data = (
        "  1 This software and database is being provided to you\n"
        '00001740 29 v 01 breathe 0 000 01 + 02 00 | draw air; expel it; "breathe in"; "Out"\n'
        "00001930 03 n 01 entity 0 000 | that which is (living or not)  \n"
        '00002000 03 n 01 nothing 0 000 | "an example alone"\n'
    )
    synsets = list(pretrain_wordnet.read_synsets(data))
    assert synsets == [("29", "draw air; expel it"), ("03", "that which is (living or not)")]


def test_held_out_glosses_are_not_used_for_pretraining() -> None:
    glosses = [
        pretrain_wordnet.Gloss(f"{label} {i}", label)
        for label, count in (("act", 30), ("food", 25), ("rare", 5))
        for i in range(count)
    ]
    parts = pretrain_wordnet.split(glosses, test=6, validation=4, min_glosses=20, seed=0)
    held_out = {gloss.text for gloss in parts.test + parts.validation}
    assert len(held_out) == 2 * (6 + 4)
    assert held_out.isdisjoint(parts.unlabeled)
    assert len(parts.unlabeled) == 60 - 20
    labeled = pretrain_wordnet.draw(parts, 3, seed=1)
    assert sorted(gloss.label for gloss in labeled) == ["act"] * 3 + ["food"] * 3
    assert {gloss.text for gloss in labeled} <= set(parts.unlabeled)


# contrast_packages

LONG = "shows documents of many kinds and turns their pages when asked to do so"


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """Package lists: two of one source, two that differ in a number, one with short texts."""
    described = {
        "viewer": ("viewer", "lightweight PDF viewer", LONG),
        "viewer-doc": ("viewer", "lightweight PDF viewer - manual", f"{LONG} (manual)"),
        "gcc-11": ("gcc-11", "GNU C compiler 11", f"compiles and {LONG} 11"),
        "gcc-12": ("gcc-12", "GNU C compiler 12", f"compiles and {LONG} 12"),
        "terse": ("terse", "a terse package", "says little"),
    }
    packages, descriptions = [], []
    for package, (source, short, long) in described.items():
        packages.append(f"Package: {package}\nSource: {source} (1.0)\nVersion: 1.0\n")
        wrapped = long.replace(" of ", "\n .\n of ")
        descriptions.append(
            f"Package: {package}\nDescription-md5: 0\nDescription-en: {short}\n {wrapped}\n"
        )
    (tmp_path / "a_main_Packages").write_text("\n".join(packages))
    (tmp_path / "a_main_Translation-en").write_text("\n".join(descriptions))
    return tmp_path


def test_packages_with_the_same_texts_give_one_pair(lists: Path) -> None:
    first, second = contrast_packages.read_pairs(lists)
    assert first == contrast_packages.Pair("gcc-11", "GNU C compiler 11", f"compiles and {LONG} 11")
    assert second == contrast_packages.Pair("viewer", "lightweight PDF viewer", LONG)


def test_ties_count_against_the_rank() -> None:
    similarity = np.array([[0.9, 0.1, 0.2], [0.8, 0.5, 0.5], [0.3, 0.2, 0.1]])
    assert contrast_packages.ranks(similarity).tolist() == [1, 3, 3]


# All examples


@pytest.mark.filterwarnings("ignore::bothways.errors.TruncationWarning")
@pytest.mark.parametrize("example", [tags_brown, pretrain_wordnet, contrast_packages])
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
