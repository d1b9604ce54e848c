"""Two models as sentence-transformers and bothways load them."""

from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Dense, Pooling
from tests.support.drop_in import Both, bert_folder, load_both
from transformers import BertModel


@pytest.fixture(scope="session")
def prompted_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with prompts, a default prompt, a dense layer, a cut and dot products."""
    base = bert_folder(tmp_path_factory.mktemp("bert"), BertModel)
    model = SentenceTransformer(
        modules=[
            Transformer(str(base), max_seq_length=24),
            Pooling(32, "mean", include_prompt=False),
            Dense(32, 20),
        ],
        prompts={"query": "find: ", "passage": "a bank ", "document": ""},
        default_prompt_name="passage",
        similarity_fn_name="dot",
        truncate_dim=12,
        device="cpu",
    )
    saved = tmp_path_factory.mktemp("prompted")
    model.save_pretrained(str(saved), create_model_card=False)
    return saved


@pytest.fixture(scope="session")
def minilm(minilm_folder: Path) -> Both:
    return load_both("SentenceTransformer", minilm_folder)


@pytest.fixture(scope="session")
def prompted(prompted_folder: Path) -> Both:
    return load_both("SentenceTransformer", prompted_folder)
