"""CoNLL files in their many forms."""

import pytest

from bothways.errors import DataFileError
from bothways.files.records import Record
from bothways.training.data.conll import read_conll


def read(text: str, **columns: int) -> list[Record]:
    return list(read_conll(text.splitlines(keepends=True), "x.conll", **columns))


def sentences(text: str, **columns: int) -> list[list[tuple[str, str]]]:
    return [
        list(zip(record.fields["tokens"], record.fields["tags"], strict=True))
        for record in read(text, **columns)
    ]


def test_tokens_and_tags_are_separated_by_tabs_or_spaces() -> None:
    expected = [[("a", "X"), ("b", "Y")], [("c", "X")]]
    assert sentences("a\tX\nb\tY\n\nc\tX\n") == expected
    assert sentences("a X\r\nb   Y\r\n \r\n\r\nc X") == expected


def test_a_token_between_tabs_may_hold_spaces() -> None:
    assert sentences("New York\tLOC\n") == [[("New York", "LOC")]]


def test_the_last_column_is_the_tag_unless_another_is_named() -> None:
    text = "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n"
    assert sentences(text) == [[("EU", "I-ORG"), ("rejects", "O")]]
    assert sentences(text, tag=2) == [[("EU", "NNP"), ("rejects", "VBZ")]]
    assert sentences(text, token=2, tag=1)[0][0] == ("NNP", "EU")


def test_documents_are_counted() -> None:
    text = "a X\n\n-DOCSTART- O\n\nb X\n\nc X\n\n-DOCSTART- O\nd X\n"
    documents = [record.fields["document"] for record in read(text)]
    assert documents == ["x.conll 0", "x.conll 1", "x.conll 1", "x.conll 2"]


def test_conll_u_gives_forms_and_universal_tags() -> None:
    word = "{}\t{}\tlemma\t{}\tXX\t_\t0\troot\t_\t_\n"
    text = "# sent_id = 1\n# text = vámonos al\n"
    text += word.format("1-2", "vámonos", "_") + word.format("1", "vamos", "VERB")
    text += word.format("2", "nos", "PRON") + word.format("2.1", "empty", "X")
    assert sentences(text + "\n# text = #\n" + word.format("1", "#", "SYM")) == [
        [("vamos", "VERB"), ("nos", "PRON")],
        [("#", "SYM")],
    ]


def test_a_number_sign_starts_a_comment_only_before_the_tokens() -> None:
    assert sentences("# a comment of words\na X\n# Y\n\n# Z\nb X\n") == [
        [("a", "X"), ("#", "Y")],
        [("#", "Z"), ("b", "X")],
    ]


def test_places_name_sentence_and_line() -> None:
    first, second = read("# c\na X\nb X\n\n\nc X\n")
    assert str(first.place) == "x.conll, row 1 (line 2)"
    assert str(second.place) == "x.conll, row 2 (line 6)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a X\n\nb X\nc\n", r"row 2 \(line 4\): 'c' has no tag; expected a token and its tag"),
        ("a X\nb X Y\n", r"row 1 \(line 2\): 3 columns, but the first token has 2"),
        ("a\t\tX\nb\tX\n", r"row 1 \(line 2\): 2 columns, but the first token has 3"),
    ],
)
def test_a_line_with_another_number_of_columns_is_an_error(text: str, message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        read(text)


def test_a_missing_column_is_an_error() -> None:
    with pytest.raises(DataFileError, match="row 1: no column 3; columns are 1 to 2"):
        read("a X\n", tag=3)


def test_an_empty_file_has_no_sentences() -> None:
    assert read("") == read("\n\n") == read("# only a comment\n") == []
