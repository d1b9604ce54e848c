"""Answers as spans of contexts: equal to transformers' logits and to its pipeline's rules."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.support.heads import SAME, TAGS

import bothways
from bothways.checkpoints import export, read_folder
from bothways.errors import InputError
from bothways.inference.backends import BackendName
from bothways.model.heads import Head, HeadLayer

if TYPE_CHECKING:
    from tests.inference.conftest import MakeModel

HEAD = Head(task="answer_spans", layers=(HeadLayer(name="heads.answer_span", outputs=2),))
QUESTION, CONTEXT = "the loan", "a river banks walking"
LONG = "a river banks walking the shores walked a bank loan river walk"


def brute_force(encoder: bothways.Encoder, path: Path, question: str, context: str) -> Any:
    """Scores of spans of the context by their characters, from the hidden states of one window."""
    model = read_folder(path)
    states = encoder.contextualize([(question, context)])[0]
    weight, bias = (model.head_weights[f"heads.answer_span.{p}"] for p in ("weight", "bias"))
    logits = states.vectors @ weight.T + bias
    first = states.tokens.index("[SEP]") + 1
    inside = [0, *range(first, len(states.tokens) - 1)]
    share = np.exp(logits) / np.exp(logits[inside]).sum(axis=0)
    assert states.offsets is not None
    scores = {
        (int(states.offsets[i, 0]), int(states.offsets[j, 1])): float(share[i, 0] * share[j, 1])
        for i in inside[1:]
        for j in inside[1:]
        if i <= j < i + 15
    }
    return scores, float(share[0].prod())


def test_answers_are_the_best_spans_of_words(backend: BackendName, make_model: "MakeModel") -> None:
    path = make_model(HEAD)
    encoder = bothways.load(path, backend=backend)
    scores, no_answer = brute_force(encoder, path, QUESTION, CONTEXT)
    answers = encoder.answer(QUESTION, CONTEXT, top=50, allow_no_answer=True)
    assert [a.score for a in answers] == sorted((a.score for a in answers), reverse=True)
    spaces = {0, *(i + 1 for i, c in enumerate(CONTEXT) if c == " ")}
    for found in answers:
        assert found.text == CONTEXT[found.start : found.end]
        if not found.text:
            assert found.score == pytest.approx(no_answer, abs=SAME)
            continue
        assert found.start in spaces  # of whole words: spans that differ inside of a word are one
        expected = sum(
            score
            for (start, end), score in scores.items()
            if CONTEXT.rfind(" ", 0, start + 1) + 1 == found.start
            and (CONTEXT + " ").index(" ", end - 1 + (CONTEXT[end - 1] == " ")) == found.end
        )
        assert found.score == pytest.approx(expected, abs=SAME)
    assert sum(not found.text for found in answers) == 1
    assert encoder.answer(QUESTION, CONTEXT) == [a for a in answers if a.text][:1]


@pytest.mark.parametrize(
    "family",
    ["Bert", "DistilBert", "Electra", "Albert", "Roberta", "XLMRoberta", "MPNet", "ModernBert"],
)
def test_the_logits_of_each_family_are_those_of_transformers(family: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    sizes: dict[str, Any] = {"vocab_size": 30, "pad_token_id": 1, "max_position_embeddings": 20}
    sizes |= {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 12, "embedding_size": 8, "dim": 8, "n_layers": 1, "n_heads": 2}
    sizes |= dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 2)
    sizes["hidden_dim"] = 12
    config_class = getattr(transformers, f"{family}Config")
    config = config_class(**{n: v for n, v in sizes.items() if n in config_class().to_dict()})
    torch.manual_seed(1)
    theirs = getattr(transformers, f"{family}ForQuestionAnswering")(config).eval()
    theirs.save_pretrained(tmp_path / "model")
    folder = read_folder(tmp_path / "model")
    (head,) = folder.spec.heads
    assert head.task == "answer_spans"
    ids = np.array([5, 9, 7, 3, 8])
    with torch.no_grad():
        outputs = theirs(torch.tensor(ids[None]))
    states = bothways.load(tmp_path / "model", backend="reference").contextualize([ids])[0].vectors
    logits = bothways.reference.head_outputs(states, folder.all_weights, head)
    for column, expected in enumerate((outputs.start_logits, outputs.end_logits)):
        np.testing.assert_allclose(logits[:, column], expected[0].numpy(), atol=SAME)
    assert export(folder, tmp_path / "exported", "transformers") == ()
    again = getattr(transformers, f"{family}ForQuestionAnswering").from_pretrained(
        tmp_path / "exported"
    )
    with torch.no_grad():
        assert torch.equal(again.eval()(torch.tensor(ids[None])).start_logits, outputs.start_logits)


def test_a_long_context_is_read_in_windows(make_model: "MakeModel") -> None:
    path = make_model(HEAD)
    encoder = bothways.load(path)
    windows = []
    tokens = encoder.contextualize([LONG], on_overflow="window")[0]
    assert tokens.offsets is not None
    spans = tokens.offsets[1:-1].tolist()
    room = 12 - len(["[CLS]", "the", "loan", "[SEP]", "[SEP]"])
    for start in range(0, len(spans), room - 6 if room > 6 else room - room // 2):
        part = spans[start : start + room]
        windows.append(LONG[part[0][0] : part[-1][1]])
        if start + room >= len(spans):
            break
    best = max(
        score for w in windows for score in brute_force(encoder, path, QUESTION, w)[0].values()
    )
    (found,) = encoder.answer(QUESTION, LONG)
    assert found.score >= best - SAME
    assert found.text == LONG[found.start : found.end]
    every = encoder.answer(QUESTION, LONG, top=500)
    assert {a.start for a in every} >= {0, LONG.rindex("walk")}
    assert all(a.score <= 1 for a in every)


def test_texts_and_lists(make_model: "MakeModel") -> None:
    encoder = bothways.load(make_model(HEAD))
    one = encoder.answer(QUESTION, CONTEXT, top=2)
    other = encoder.answer("a bank", CONTEXT, top=2)
    assert encoder.answer([QUESTION, "a bank"], CONTEXT, top=2) == [one, other]
    assert encoder.answer(QUESTION, [CONTEXT], top=2) == [one]
    assert encoder.answer([QUESTION, "a bank"], [CONTEXT, CONTEXT], top=2) == [one, other]
    (short,) = encoder.answer(QUESTION, CONTEXT, max_answer_tokens=1)
    assert len(short.text.split()) == 1


@pytest.mark.parametrize(
    ("question", "context", "message"),
    [
        (["a", "b"], ["c"], "2 questions and 1 contexts"),
        ("a", "  ", "sequence 0: the context is empty"),
        (["a", ""], "the bank", "sequence 1: the question is empty"),
        (["a", 3], "the bank", "sequence 1: question: got int; expected a str"),
        ("a " * 12, "the bank", "leave no room for the context in 12"),
    ],
)
def test_invalid_pairs_are_named(
    question: Any, context: Any, message: str, make_model: "MakeModel"
) -> None:
    with pytest.raises(InputError, match=message):
        bothways.load(make_model(HEAD)).answer(question, context)


def test_a_model_without_the_head_says_so(make_model: "MakeModel") -> None:
    with pytest.raises(InputError, match="answer needs a head for answer_spans") as error:
        bothways.load(make_model(TAGS)).answer("a", "b")
    assert "train one" not in str(error.value)


def test_the_head_is_stored_and_exported(make_model: "MakeModel", tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    model = read_folder(make_model(HEAD))
    assert model.spec.heads == (HEAD,)
    assert export(model, tmp_path / "graph", "onnx") == ()
    session = onnxruntime.InferenceSession(tmp_path / "graph/model.onnx")
    ids = np.array([[2, 8, 3, 9, 6, 3]])
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    names = [output.name for output in session.get_outputs()]
    assert "start_logits" in names
    outputs = session.run(
        ["start_logits", "end_logits"], inputs | {"token_type_ids": np.zeros_like(ids)}
    )
    states = bothways.load(model.path).contextualize(list(ids))[0].vectors
    expected = bothways.reference.head_outputs(states, model.all_weights, HEAD)
    np.testing.assert_allclose(np.stack(outputs, axis=-1)[0], expected, atol=SAME)
