"""`bothways predict`: the records of each task, and its errors."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

import bothways
from bothways import Alphabet, EncoderConfig
from bothways.checkpoints import ModelBundle, export
from bothways.checkpoints.tokenizers.files import open_tokenizer
from bothways.model.heads import Head, HeadLayer, HeadTask, head_layout
from bothways.model.spec import ModelSpec
from bothways.sequences import SequenceReader, SymbolReader
from bothways.sequences.text import TextReader

SAME = 1e-6
"""fp32 through another order of additions."""

Run = Callable[..., tuple[int, str, str]]
PROTEINS = Alphabet.protein()
ROWS = ["MKV", "A", "LATLAT", "M"]


def pooled(task: HeadTask, *labels: str) -> Head:
    layer = HeadLayer(name=f"heads.{task}", outputs=len(labels))
    return Head(task=task, layers=(layer,), pooling="mean", labels=labels)


TAGS = Head(task="tags", layers=(HeadLayer(name="heads.tagger", outputs=2),), labels=("in", "out"))


def tokens(vocab_size: int) -> Head:
    output = HeadLayer(name="heads.tokens", outputs=vocab_size, tied=True)
    return Head(task="masked_tokens", layers=(output,))


class Make(Protocol):
    def __call__(self, *heads: Head, text: bool = False) -> str: ...


@pytest.fixture
def make(tmp_path: Path, make_weights: Callable[..., dict[str, np.ndarray]]) -> Make:
    """A tiny model of proteins, or of texts, with these heads."""

    def write(*heads: Head, text: bool = False) -> str:
        files = tmp_path / "files"
        files.mkdir()
        reader = text_reader(files) if text else SymbolReader(PROTEINS)
        reader.save(files)
        config = EncoderConfig(
            num_layers=1, num_heads=2, d_model=8, d_ff=16, vocab_size=40, max_length=32
        )
        rng = np.random.default_rng(5)
        shapes = {name: s for head in heads for name, s in head_layout(head, config).items()}
        folder = ModelBundle.of(
            ModelSpec(config=config, heads=heads, max_length=config.max_length),
            {
                **make_weights(config),
                **{n: rng.standard_normal(s).astype(np.float32) for n, s in shapes.items()},
            },
            path=tmp_path,
            reader_path=files,
        )
        export(folder, tmp_path / "model", "bothways")
        return str(tmp_path / "model")

    return write


def text_reader(folder: Path) -> SequenceReader:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "river", "bank", "##s", "the"]
    (folder / "vocab.txt").write_text("\n".join(words))
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    tokenizer = open_tokenizer(folder)
    for path in folder.iterdir():
        path.unlink()
    assert tokenizer is not None
    assert isinstance(tokenizer, Tokenizer)
    return TextReader(tokenizer, vocab_size=40)


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def write_rows() -> None:
    Path("rows.txt").write_text("".join(f"{row}\n" for row in ROWS))


def test_each_row_has_a_label_and_the_probability_of_every_label(run: Run, make: Make) -> None:
    model = make(pooled("classes", "red", "green", "blue"))
    write_rows()
    code, _, err = run("predict", model, "rows.txt", "-o", "o.jsonl")
    assert code == 0, err
    assert "classify: 4 rows, " in err
    expected = bothways.load(model).classify(ROWS)
    found = lines("o.jsonl")
    assert [row["id"] for row in found] == ["0", "1", "2", "3"]
    assert [row["text"] for row in found] == ROWS
    assert [row["label"] for row in found] == expected.labels
    shares = [[row[f"probability_{name}"] for name in ("red", "green", "blue")] for row in found]
    np.testing.assert_allclose(shares, expected.probabilities, atol=SAME)
    assert [row["probability"] for row in found] == [max(share) for share in shares]
    assert not any(row["truncated"] for row in found)


def test_all_formats_hold_the_same_records(run: Run, make: Make) -> None:
    model = make(pooled("multilabel", "red", "green", "blue"))
    write_rows()
    for suffix in ("jsonl", "csv", "tsv", "parquet"):
        options = ("--threshold", 0.4, "--quiet")
        assert run("predict", model, "rows.txt", "-o", f"o.{suffix}", *options) == (0, "", "")
    expected = lines("o.jsonl")
    labels = bothways.load(model).classify(ROWS, threshold=0.4).labels
    assert [row["label"] for row in expected] == labels
    for suffix, delimiter in (("csv", ","), ("tsv", "\t")):
        with Path(f"o.{suffix}").open(newline="") as file:
            table = list(csv.DictReader(file, delimiter=delimiter))
        assert [json.loads(row["label"]) for row in table] == labels
        assert [float(row["probability_red"]) for row in table] == [
            row["probability_red"] for row in expected
        ]
        assert [row["truncated"] for row in table] == ["false"] * 4
    parquet = pq.read_table("o.parquet")
    assert parquet["label"].to_pylist() == labels
    blue = np.array(parquet["probability_blue"].to_pylist())
    np.testing.assert_allclose(blue, [row["probability_blue"] for row in expected])
    metadata = parquet.schema.metadata
    assert metadata[b"bothways.fingerprint"].decode() == bothways.load(model).fingerprint
    assert metadata[b"bothways.head"] == b"multilabel"


@pytest.mark.parametrize(
    ("labels", "columns"), [(("kelvin",), ["value"]), (("x", "y"), ["value_x", "value_y"])]
)
def test_values_are_columns_of_numbers(
    labels: tuple[str, ...], columns: list[str], run: Run, make: Make
) -> None:
    model = make(pooled("values", *labels))
    write_rows()
    assert run("predict", model, "rows.txt", "-o", "o.csv")[0] == 0
    with Path("o.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    found = [[float(row[column]) for column in columns] for row in table]
    expected = bothways.load(model).predict(ROWS).reshape(4, -1)
    np.testing.assert_allclose(found, expected, atol=SAME)
    assert list(table[0]) == ["id", "text", *columns, "truncated"]


def test_symbols_are_written_beside_their_tags(run: Run, make: Make) -> None:
    model = make(TAGS)
    write_rows()
    assert run("predict", model, "rows.txt", "-o", "o.jsonl")[0] == 0
    found = lines("o.jsonl")
    assert found[0]["tokens"] == ["M", "K", "V"]
    for row, tagged in zip(found, bothways.load(model).tag(ROWS), strict=True):
        assert row["tags"] == tagged.labels
        np.testing.assert_allclose(
            row["probabilities"], tagged.probabilities.max(axis=1, initial=0), atol=SAME
        )


def test_entities_are_written_with_their_places(run: Run, make: Make) -> None:
    model = make(TAGS)
    write_rows()
    assert run("predict", model, "rows.txt", "-o", "o.jsonl", "--aggregate", "simple")[0] == 0
    tagged = bothways.load(model).tag(ROWS, aggregate="simple")
    for row, text, tags in zip(lines("o.jsonl"), ROWS, tagged, strict=True):
        assert tags.entities is not None
        assert row["labels"] == [entity.label for entity in tags.entities]
        spans = zip(row["starts"], row["ends"], strict=True)
        assert row["entities"] == [text[start:end] for start, end in spans]
        np.testing.assert_allclose(row["scores"], [e.score for e in tags.entities], atol=SAME)
        assert set(row) - {"id", "text", "truncated"} == {
            *("entities", "labels", "starts", "ends", "scores")
        }


def test_questions_are_answered_from_columns(run: Run, make: Make) -> None:
    head = Head(task="answer_spans", layers=(HeadLayer(name="heads.answer_span", outputs=2),))
    model = make(head, text=True)
    Path("x.csv").write_text("question,context\na bank,the river banks\nthe bank,a river\n")
    columns = ("x.csv", "--column", "question", "--pair-column", "context", "-o", "o.jsonl")
    assert run("predict", model, *columns)[0] == 0
    encoder = bothways.load(model)
    pairs = [("a bank", "the river banks"), ("the bank", "a river")]
    for row, (question, context) in zip(lines("o.jsonl"), pairs, strict=True):
        (answer,) = encoder.answer(question, context)
        assert (row["answer"], row["start"], row["end"]) == (answer.text, answer.start, answer.end)
        assert row["answer"] == context[row["start"] : row["end"]]
        assert row["score"] == pytest.approx(answer.score, abs=SAME)
    several = (*columns, "--overwrite", "--top", "3", "--allow-no-answer")
    assert run("predict", model, *several)[0] == 0
    for row, pair in zip(lines("o.jsonl"), pairs, strict=True):
        answers = encoder.answer(*pair, top=3, allow_no_answer=True)
        assert row["answers"] == [answer.text for answer in answers]
        assert row["starts"] == [answer.start for answer in answers]
    code, _, err = run("predict", model, "x.csv", "--column", "context", "-o", "p.jsonl")
    assert code == 1
    assert "--task answer needs a question and a context for each row" in err
    query = ("--column", "context", "--query", "a bank", "-o", "p.jsonl")
    assert run("predict", model, "x.csv", *query)[0] == 0
    assert [row["answer"] for row in lines("p.jsonl")]


def test_lists_of_words_are_tagged_by_word(run: Run, make: Make) -> None:
    model = make(TAGS, text=True)
    Path("x.txt").write_text("the river banks\n")
    Path("x.jsonl").write_text('{"tokens": ["the", "river", "\\u200b", "banks"]}\n')
    assert run("predict", model, "x.txt", "-o", "tokens.jsonl")[0] == 0
    assert run("predict", model, "x.txt", "-o", "words.jsonl", "--words")[0] == 0
    assert run("predict", model, "x.jsonl", "-o", "list.jsonl")[0] == 0
    assert lines("tokens.jsonl")[0]["tokens"] == ["the", "river", "bank", "##s"]
    (words,), (listed,) = lines("words.jsonl"), lines("list.jsonl")
    assert words["tokens"] == ["the", "river", "banks"]
    assert words["tags"] == lines("tokens.jsonl")[0]["tags"][:3]
    assert listed["tokens"] == ["the", "river", "\u200b", "banks"]
    assert listed["tags"][2] is None
    assert listed["probabilities"][2] is None


def test_masks_get_their_most_probable_tokens(run: Run, make: Make) -> None:
    model = make(tokens(40))
    mask = bothways.load(model).mask_token
    Path("x.txt").write_text(f"MK{mask}V{mask}\n{mask}\n")
    options = ("--task", "fill-mask", "--top", 3)
    for suffix in ("jsonl", "parquet"):
        code, _, err = run("predict", model, "x.txt", "-o", f"o.{suffix}", *options)
        assert code == 0, err
    expected = bothways.load(model).fill_mask([f"MK{mask}V{mask}", mask], top=3)
    found = lines("o.jsonl")
    assert [row["tokens"] for row in found] == [[m.tokens for m in own] for own in expected]
    assert pq.read_table("o.parquet")["tokens"].to_pylist() == [row["tokens"] for row in found]
    np.testing.assert_allclose(
        found[0]["probabilities"], [m.probabilities for m in expected[0]], atol=SAME
    )


def test_terms_are_written_with_their_weights(run: Run, make: Make) -> None:
    model = make(tokens(40))
    write_rows()
    assert run("predict", model, "rows.txt", "-o", "o.jsonl", "--task", "sparse")[0] == 0
    expected = bothways.load(model).sparse(ROWS)
    for i, row in enumerate(lines("o.jsonl")):
        assert row["terms"] == list(expected[i].terms())
        np.testing.assert_allclose(row["weights"], [*expected[i].terms().values()], atol=SAME)


def test_pairs_are_read_from_two_columns_or_with_one_query(run: Run, make: Make) -> None:
    model = make(pooled("values", "score"), text=True)
    Path("x.csv").write_text("name,first,second\nx,the river,a bank\ny,a river,the banks\n")
    columns = ("--column", "first", "--pair-column", "second", "--id-column", "name")
    code, _, err = run("predict", model, "x.csv", "-o", "pairs.jsonl", *columns)
    assert code == 0, err
    found = lines("pairs.jsonl")
    expected = bothways.load(model).predict([("the river", "a bank"), ("a river", "the banks")])
    np.testing.assert_allclose([row["value"] for row in found], expected, atol=SAME)
    assert [(row["id"], row["text"]) for row in found] == [
        ("x", "the river\ta bank"), ("y", "a river\tthe banks"),
    ]  # fmt: skip

    ranking = ("--column", "second", "--query", "the river")
    assert run("predict", model, "x.csv", "-o", "ranked.jsonl", *ranking)[0] == 0
    scores = bothways.load(model).rerank("the river", ["a bank", "the banks"]).scores
    np.testing.assert_allclose([r["value"] for r in lines("ranked.jsonl")], scores, atol=SAME)


def test_long_rows_are_counted_or_read_in_windows(run: Run, make: Make) -> None:
    model = make(pooled("classes", "no", "yes"))
    Path("x.txt").write_text("MKV\n" + "MKVLAT" * 10 + "\n")
    code, _, err = run("predict", model, "x.txt", "-o", "cut.jsonl", "--quiet")
    assert code == 0
    assert err.splitlines() == [
        "warning: truncated 1 of 2 rows to the model's maximum length of 32 positions; "
        "use --on-overflow window to read them whole"
    ]
    assert [row["truncated"] for row in lines("cut.jsonl")] == [False, True]
    options = ("--on-overflow", "window", "--quiet")
    assert run("predict", model, "x.txt", "-o", "whole.jsonl", *options) == (0, "", "")
    assert [row["truncated"] for row in lines("whole.jsonl")] == [False, False]
    code, _, err = run("predict", model, "x.txt", "-o", "o.jsonl", "--on-overflow", "error")
    assert code == 1
    assert err.startswith("error: x.txt, row 2: ")


def test_a_prediction_does_not_depend_on_the_memory_limit(run: Run, make: Make) -> None:
    model = make(pooled("classes", "no", "yes"))
    Path("x.txt").write_text("".join(f"{'MKVLAT'[: 1 + i % 6]}\n" for i in range(300)))
    assert run("predict", model, "x.txt", "-o", "wide.jsonl")[0] == 0
    _, _, err = run("predict", model, "x.txt", "-o", "o.jsonl", "--max-memory", "1MB")
    limit = err.split("give at least ")[1].strip()
    code, _, err = run("predict", model, "x.txt", "-o", "narrow.jsonl", "--max-memory", limit)
    assert code == 0, err
    for wide, narrow in zip(lines("wide.jsonl"), lines("narrow.jsonl"), strict=True):
        assert wide["probability_no"] == pytest.approx(narrow["probability_no"], abs=SAME)


def test_several_heads_need_a_task(run: Run, make: Make) -> None:
    model = make(pooled("classes", "no", "yes"), pooled("values", "x"))
    write_rows()
    code, _, err = run("predict", model, "rows.txt", "-o", "o.jsonl")
    assert code == 1
    assert "supports classify, predict; choose one with --task" in err
    assert run("predict", model, "rows.txt", "-o", "o.jsonl", "--task", "predict")[0] == 0
    assert "value" in lines("o.jsonl")[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--task", "tag"), "--task tag needs a head for tags, and the model"),
        (("--query", "a"), "this model reads symbols, and pairs need text"),
        (("--words",), "--words is only for models that tag texts"),
        (("--aggregate", "simple"), "--aggregate is only for models that tag"),
        (("--pair-column", "b"), "name the first with --column"),
        (("--pair-column", "b", "--query", "q"), "use only one"),
        (("--column", "nothing"), "no column 'nothing'"),
    ],
)
def test_contradicting_options_are_refused(
    options: tuple[str, ...], message: str, run: Run, make: Make
) -> None:
    model = make(pooled("classes", "no", "yes"))
    write_rows()
    code, _, err = run("predict", model, "rows.txt", "-o", "o.jsonl", *options)
    assert code == 1
    assert message in err
    assert "Traceback" not in err
    assert not Path("o.jsonl").exists()


def test_a_model_without_heads_is_refused(run: Run, make: Make) -> None:
    write_rows()
    code, _, err = run("predict", make(), "rows.txt", "-o", "o.jsonl")
    assert code == 1
    assert "it has none; load a model that has one, or train one" in err


def test_an_invalid_row_is_named_and_no_file_is_left(run: Run, make: Make) -> None:
    model = make(tokens(40))
    Path("x.csv").write_text("text\nM<mask>\nMK\n")
    code, _, err = run("predict", model, "x.csv", "-o", "o.parquet", "--task", "fill-mask")
    assert code == 1
    assert err.startswith("error: x.csv, row 2 (line 3), column 'text': has no mask; write <mask>")
    assert not Path("o.parquet").exists()


@pytest.mark.parametrize("output", ["o.npy", "nowhere/o.csv"])
def test_an_invalid_output_is_reported_before_the_model_is_loaded(run: Run, output: str) -> None:
    write_rows()
    code, _, err = run("predict", "no such model", "rows.txt", "-o", output)
    assert code == 1
    assert Path(output).name in err
    assert "no such model" not in err


def test_no_rows_give_a_complete_empty_file(run: Run, make: Make) -> None:
    model = make(pooled("classes", "no", "yes"))
    Path("x.txt").write_bytes(b"")
    for suffix in ("csv", "parquet", "jsonl"):
        assert run("predict", model, "x.txt", "-o", f"o.{suffix}")[0] == 0
    assert Path("o.csv").read_text() == (
        "id,text,label,probability,probability_no,probability_yes,truncated\n"
    )
    assert pq.read_table("o.parquet").num_rows == 0


def test_records_can_go_to_standard_output(run: Run, make: Make) -> None:
    model = make(pooled("classes", "no", "yes"))
    write_rows()
    code, out, _ = run("predict", model, "rows.txt", "-o", "-", "--quiet")
    assert code == 0
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["0", "1", "2", "3"]


def test_rows_of_unknown_tokens_are_counted_or_refused(run: Run, make: Make) -> None:
    model = make(pooled("classes", "no", "yes"), text=True)
    Path("x.txt").write_text("a river\nun deux\ntrois\n")
    code, _, err = run("predict", model, "x.txt", "-o", "x.jsonl")
    assert code == 0
    assert err.count("2 of 3 rows consist mostly of tokens that the model does not know") == 1
    assert "the first is x.txt, row 2" in err
    code, _, err = run("predict", model, "x.txt", "-o", "y.jsonl", "--on-unknown", "error")
    assert code != 0
    assert "x.txt, row 2: 2 of 4 tokens are unknown to the model" in err
