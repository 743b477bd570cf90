"""The table that shares a prompt out among clusters."""

import json
from pathlib import Path

import pytest

from app.adapters.llm.diversity_table import load_diversity_table
from app.domain.errors import IntegrityError

TABLE = {
    "embedder_id": "e",
    "source": "test",
    "centres": [[1.0, 0.0], [0.0, 1.0]],
    "worth": [[0.1, 0.2, 0.3], [0.3, 0.31, 0.32]],
}


def test_a_table_gives_each_cluster_the_share_it_is_worth(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text(json.dumps(TABLE), encoding="utf-8")

    found = load_diversity_table(path, embedder_id="e", dim=2)

    assert found.shares == [0.5, 0.5]
    assert found.centres.shape == (2, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"embedder_id": "other"},
        {"centres": [[1.0], [0.0]]},
        {"worth": [[0.1, 0.2, 0.3]]},
        {"worth": [[0.1, 0.2, 0.3], [0.3]]},
        {"more": 1},
    ],
)
def test_a_table_of_another_shape_or_embedder_is_refused(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    path = tmp_path / "table.json"
    path.write_text(json.dumps(TABLE | wrong), encoding="utf-8")

    with pytest.raises(IntegrityError, match="diversity table"):
        load_diversity_table(path, embedder_id="e", dim=2)


def test_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="no diversity table"):
        load_diversity_table(tmp_path / "none.json", embedder_id="e", dim=2)
