"""Qwen3-Reranker: scores by the logits of yes and no, as the code of its model card."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.cross_encoder.modules import LogitScore
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3ForSequenceClassification,
)
from typer.testing import CliRunner

import bothways
from bothways import drop_in
from bothways.checkpoints import export
from bothways.checkpoints.folder import read_folder
from bothways.checkpoints.generative_reranker import TEMPLATE
from bothways.cli.app import app
from bothways.errors import CheckpointError, InputError, TruncationWarning, UnsupportedModel

QUERY = "which bank has a river?"
DOCUMENTS = ["The river flows by the bank.", "A loan of the bank", "Yes.\nNo, yes; no  ", ""]
CHAT = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    'the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n<Instruct>: {{ messages | selectattr('role', 'eq', 'system') | "
    "map(attribute='content') | first | default('Given a web search query, retrieve relevant "
    "passages that answer the query') }}\n<Query>: {{ messages | selectattr('role', 'eq', 'query') "
    "| map(attribute='content') | first }}\n<Document>: {{ messages | selectattr('role', 'eq', "
    "'document') | map(attribute='content') | first }}<|im_end|>\n<|im_start|>assistant\n"
    "{{ '<think>\\n\\n</think>\\n\\n' }}"
)


def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE with the tokens of the template, and yes and no."""
    words = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "ye", "yes", "no"]
    merges = [("y", "e"), ("ye", "s"), ("n", "o")]
    made = Tokenizer(models.BPE({word: index for index, word in enumerate(words)}, merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    made.add_tokens(["<think>", "</think>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<|endoftext|>",  # noqa: S106
        padding_side="left",
    )


def write(folder: Path, *, tied: bool, classes: int | None = None) -> Path:
    torch.manual_seed(0)
    made = tokenizer()
    config = Qwen3Config(
        vocab_size=270, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, head_dim=8,
        num_key_value_heads=1, intermediate_size=16, max_position_embeddings=1024,
        tie_word_embeddings=tied, pad_token_id=made.pad_token_id,
    )  # fmt: skip
    if classes is None:
        model: Any = Qwen3ForCausalLM(config)
    else:
        config.num_labels = classes
        model = Qwen3ForSequenceClassification(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as published: its name is the only mark of a reranker."""
    return write(tmp_path_factory.mktemp("of") / "Qwen3-Reranker-0.6B", tied=True)


def of_the_card(
    folder: Path, pairs: list[tuple[str, str]], instruction: str | None, max_length: int = 8192
) -> np.ndarray:
    """The scores of the model card's code, pair by pair."""
    reads = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    no, yes = (reads.convert_tokens_to_ids(word) for word in ("no", "yes"))
    task = instruction or (
        "Given a web search query, retrieve relevant passages that answer the query"
    )
    prefix = reads.encode(TEMPLATE.prefix, add_special_tokens=False)
    suffix = reads.encode(TEMPLATE.suffix, add_special_tokens=False)
    scores = []
    for query, document in pairs:
        text = f"<Instruct>: {task}\n<Query>: {query}\n<Document>: {document}"
        ids = reads(
            [text],
            truncation="longest_first",
            return_attention_mask=False,
            max_length=max_length - len(prefix) - len(suffix),
        )["input_ids"][0]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([prefix + ids + suffix])).logits[:, -1]
        both = torch.stack([logits[:, no], logits[:, yes]], dim=1)
        scores.append(torch.nn.functional.log_softmax(both, dim=1)[:, 1].exp().item())
    return np.array(scores)


@pytest.mark.parametrize("tied", [True, False])
def test_scores_are_those_of_the_model_card(tied: bool, tmp_path: Path) -> None:
    folder = write(tmp_path / "Qwen3-Reranker-0.6B", tied=tied)
    encoder = bothways.load(folder, threads=1)
    pairs = [(QUERY, document) for document in DOCUMENTS]
    for instruction in (None, "Find rivers\n"):
        ranking = encoder.rerank(QUERY, DOCUMENTS, prompt=instruction)
        expected = of_the_card(folder, pairs, instruction)
        np.testing.assert_allclose(ranking.scores, expected, rtol=0, atol=1e-6)
        assert ranking.order.tolist() == np.argsort(-expected).tolist()
    classified = encoder.classify(pairs)
    np.testing.assert_allclose(
        classified.probabilities[:, 0], of_the_card(folder, pairs, None), rtol=0, atol=1e-6
    )


def test_a_long_pair_is_cut_before_the_end_of_the_template(reranker: Path) -> None:
    encoder = bothways.load(reranker, threads=1)
    assert encoder.max_length == 1024
    document = "the river " * 40
    with pytest.warns(TruncationWarning):
        ranking = encoder.rerank(QUERY, [document], max_length=300)
    expected = of_the_card(reranker, [(QUERY, document)], None, max_length=300)
    np.testing.assert_allclose(ranking.scores, expected, rtol=0, atol=1e-6)
    with pytest.raises(InputError, match="pair"):
        encoder.rerank(QUERY, [document], max_length=300, on_overflow="window")


def test_a_classifier_of_one_label_reads_the_same_text(tmp_path: Path) -> None:
    folder = write(tmp_path / "Qwen3-Reranker-0.6B-seq-cls", tied=True, classes=1)
    encoder = bothways.load(folder, threads=1)
    ranking = encoder.rerank(QUERY, DOCUMENTS)
    reads = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    texts = [
        TEMPLATE.prefix + TEMPLATE.content(QUERY, document) + TEMPLATE.suffix
        for document in DOCUMENTS
    ]
    with torch.no_grad():
        expected = [model(**reads(t, return_tensors="pt")).logits[0, 0].sigmoid() for t in texts]
    np.testing.assert_allclose(ranking.scores, expected, rtol=0, atol=1e-6)
    # Pairs that the caller wrote by the template, as the model card of this folder does.
    written = [
        (f"{TEMPLATE.prefix}<Instruct>: {TEMPLATE.instruction}\n<Query>: {QUERY}\n",
         f"<Document>: {document}{TEMPLATE.suffix}")
        for document in DOCUMENTS
    ]  # fmt: skip
    scores: Any = drop_in.CrossEncoder(folder, device="cpu").predict(written)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def cross_encoder(reranker: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder as sentence-transformers 6 saves it, with a template of chats."""
    made: Any = Transformer(
        str(reranker),
        transformer_task="text-generation",
        processor_kwargs={"chat_template": CHAT},
    )
    yes, no = (made.tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
    model = CrossEncoder(
        modules=[made, LogitScore(true_token_id=yes, false_token_id=no)],
        prompts={"query": "Find rivers"},
        device="cpu",
    )
    folder = tmp_path_factory.mktemp("st") / "model"
    model.save(str(folder))
    return folder


def test_the_module_logit_score_is_read(cross_encoder: Path) -> None:
    theirs = CrossEncoder(str(cross_encoder), device="cpu")
    pairs = [(QUERY, document) for document in DOCUMENTS]
    ours: Any = drop_in.CrossEncoder(cross_encoder, device="cpu")
    for name in (None, "query"):
        expected = theirs.predict(pairs, prompt_name=name)
        np.testing.assert_allclose(
            ours.predict(pairs, prompt_name=name), expected, rtol=0, atol=1e-6
        )
    assert ours.num_labels == theirs.num_labels
    ranking = bothways.load(cross_encoder, threads=1).rerank(QUERY, DOCUMENTS)
    np.testing.assert_allclose(
        ranking.scores, theirs.predict(pairs, prompt_name="query"), rtol=0, atol=1e-6
    )


def test_another_template_of_chats_is_refused(cross_encoder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(cross_encoder, tmp_path / "model")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(UnsupportedModel, match="not that of Qwen3-Reranker"):
        read_folder(folder)


def test_other_decoders_do_not_score(reranker: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(reranker, tmp_path / "Qwen3-0.6B")
    with pytest.raises(InputError, match="rerank needs a head"):
        bothways.load(folder, threads=1).rerank(QUERY, DOCUMENTS)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"_name_or_path": "qwen3-reranker"}))
    assert read_folder(folder).spec.pair_template == TEMPLATE
    made = json.loads((folder / "tokenizer.json").read_text())
    made["model"]["merges"] = [merge for merge in made["model"]["merges"] if "s" not in merge]
    made["model"]["vocab"]["other"] = made["model"]["vocab"].pop("yes")
    (folder / "tokenizer.json").write_text(json.dumps(made))
    with pytest.raises(CheckpointError, match="answers yes or no"):
        read_folder(folder)


def test_an_export_keeps_the_score(reranker: Path, tmp_path: Path) -> None:
    model = read_folder(reranker)
    scores = bothways.load(reranker, threads=1).rerank(QUERY, DOCUMENTS).scores
    export(model, tmp_path / "ours", "bothways")
    again = bothways.load(tmp_path / "ours", threads=1).rerank(QUERY, DOCUMENTS).scores
    assert np.array_equal(again, scores)
    (left_out,) = export(model, tmp_path / "Qwen3-Reranker", "transformers")
    assert "the text around pairs" in left_out
    again = bothways.load(tmp_path / "Qwen3-Reranker", threads=1).rerank(QUERY, DOCUMENTS).scores
    np.testing.assert_allclose(again, scores, rtol=0, atol=1e-6)


def test_the_command_takes_an_instruction(reranker: Path, tmp_path: Path) -> None:
    rows, out = tmp_path / "rows.txt", tmp_path / "out.jsonl"
    rows.write_text("The river flows\n")
    arguments = ["predict", reranker, rows, "--query", QUERY, "-o", out, "--instruction", "Find it"]
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.stderr
    row = json.loads(out.read_text().splitlines()[-1])
    expected = of_the_card(reranker, [(QUERY, "The river flows")], "Find it")
    assert row["probability_yes"] == pytest.approx(expected[0], abs=1e-6)
