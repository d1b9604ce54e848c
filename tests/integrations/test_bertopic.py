"""BERTopic: topics of short texts."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

import bothways

pytest.importorskip(
    "bertopic", reason="bertopic is not installed; make test-integrations installs it"
)

from bertopic import BERTopic

from bothways.integrations.bertopic import BothwaysBackend

WORDS = ["river", "bank", "shore", "the", "a", "loan", "walk"]


def test_topics_are_those_of_the_vectors_of_encode(folder: Path) -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, 4)) for _ in range(200)]

    def model(**options: object) -> BERTopic:
        return BERTopic(umap_model=PCA(3), hdbscan_model=KMeans(4, random_state=0), **options)

    topics, _ = model(embedding_model=BothwaysBackend(folder)).fit_transform(texts)
    vectors = bothways.load(folder).encode(texts, role="document")
    expected, _ = model(embedding_model=BothwaysBackend(folder)).fit_transform(texts, vectors)
    assert len(set(topics)) == 4
    assert topics == expected


def test_new_texts_get_topics(folder: Path) -> None:
    texts = ["a river", "the bank", "the loan", "a walk"] * 5
    model = BERTopic(
        embedding_model=BothwaysBackend(folder),
        umap_model=PCA(2),
        hdbscan_model=KMeans(2, random_state=0),
    )
    topics, _ = model.fit_transform(texts)
    again, _ = model.transform(texts)
    assert list(again) == list(topics)
