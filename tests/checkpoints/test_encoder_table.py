"""The table of much-used encoders in docs/models.md is what loading and encoding them gives."""

from pathlib import Path

import pytest
from scripts import encoder_table
from scripts.encoder_table import Row, Status

Results = list[tuple[Row, Status, str]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    scratch = tmp_path_factory.mktemp("encoders")
    return [
        (row, *encoder_table.outcome(row, scratch / str(index)))
        for index, row in enumerate(encoder_table.rows())
    ]


def test_the_page_has_the_table_of_this_version(results: Results) -> None:
    page = encoder_table.PAGE.read_text(encoding="utf-8")
    assert encoder_table.page_with(encoder_table.table(results), page) == page, (
        "run `python -m scripts.encoder_table`"
    )


def test_most_of_the_much_used_encoders_load(results: Results) -> None:
    loaded = [row for row, status, _ in results if status != "refused"]
    assert len(loaded) >= 0.85 * len(results)
    downloads = sum(row.downloads for row, _, _ in results)
    assert sum(row.downloads for row in loaded) >= 0.95 * downloads


def test_a_row_that_does_not_load_says_why(tmp_path: Path) -> None:
    rows = encoder_table.rows()
    [plain] = [row for row in rows if row.models == "google-bert/bert-base-uncased"]
    assert encoder_table.outcome(plain, tmp_path / "plain") == ("loads", "")
    wrong = plain._replace(changes={"position_embedding_type": "relative_key"})
    status, reason = encoder_table.outcome(wrong, tmp_path / "wrong")
    assert status == "refused"
    assert "position_embedding_type='relative_key'" in reason
    noted = plain._replace(changes={"emb_size": 312})
    status, reason = encoder_table.outcome(noted, tmp_path / "noted")
    assert status == "loads with a note"
    assert "emb_size" in reason
