import shutil
from pathlib import Path

import pytest

from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.models import MODELS_DIR, ModelError, load_models

QUERY = """SELECT
    stream_day,
    stream_id,
    CAST(count(*) AS BIGINT) AS samples
FROM stream_samples
WHERE stream_day = CAST($stream_day AS DATE)
GROUP BY stream_day, stream_id
"""
DOCUMENT = """description: Samples of each stream.
owner: analytics
grain: one row per stream
key: [stream_id]
partition: {column: stream_day, parameter: stream_day}
reads:
  stream_samples: same_partition
columns:
  stream_day: {type: date, unit: UTC day, description: The day., required: true}
  stream_id: {type: string, description: The stream., required: true}
  samples: {type: long, unit: samples, description: How many., required: true}
checks:
  - name: some
    description: A row has samples.
    sql: |
      SELECT stream_id
      FROM sample_counts
      WHERE samples = 0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The project's models and one more, `sample_counts`, for tests to break."""
    models = tmp_path / "models"
    shutil.copytree(MODELS_DIR, models)
    (models / "sample_counts").mkdir()
    (models / "sample_counts" / "query.sql").write_text(QUERY)
    (models / "sample_counts" / "model.yaml").write_text(DOCUMENT)
    return models


def change(folder: Path, name: str, old: str, new: str) -> Path:
    path = folder / "sample_counts" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def test_models_come_in_the_order_in_which_they_read_each_other() -> None:
    models = load_models()
    order = [model.name for model in models]
    for model in models:
        for name in model.reads:
            assert name not in models or order.index(name) < order.index(model.name)
    assert {model.name for model in models.keyed_by("day")} == {
        *("channel_daily", "channel_follows", "content_daily"),
        *("sessions", "bot_marks", "views", "trending"),
    }
    assert [model.name for model in models if model.hourly] == ["trending"]


def test_tables_that_know_viewers_are_in_no_build() -> None:
    for table in {**load_models().tables, **DIM_TABLES}.values():
        knows = {"viewer_id", "owner_id", "session_id"} & set(table.column_names)
        assert table.is_published == (not knows), table.name


def test_a_good_folder_is_a_model_with_its_table_and_checks(folder: Path) -> None:
    model = load_models(folder)["sample_counts"]
    assert model.table.column("samples").unit == "samples"
    assert model.table.sort == model.key == ("stream_id",)
    assert model.partition_column == model.parameter == "stream_day"
    assert [check.name for check in model.checks] == ["some"]


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "words"),
    [
        ("query.sql", "count(*)", "median(viewers)", 4, "outside the portable subset"),
        ("query.sql", "GROUP BY stream_day, stream_id", "GROUP BY ALL", 7, "name the columns"),
        ("query.sql", "WHERE stream_day", "WHERE WHERE stream_day", 6, "not readable as SQL"),
        ("query.sql", "FROM stream_samples", "FROM stream_minutes", 7, "declare it"),
        ("query.sql", "$stream_day", "$other", 5, "must use the parameter $stream_day alone"),
        ("model.yaml", "same_partition", "some", 7, "unknown selection 'some'"),
        ("model.yaml", "same_partition", "whole", 7, "does not fit"),
        ("model.yaml", "stream_samples:", "streams:", 7, "declare it"),
        ("model.yaml", "  stream_samples: same_partition",
         "  stream_samples: same_partition\n  dim_vods: whole", 7, "does not read dim_vods"),
        ("model.yaml", "type: long", "type: number", 11, "unknown type 'number'"),
        ("model.yaml", "description: How many., ", "", 11, "`description` must be given"),
        ("model.yaml", "owner: analytics", "boss: analytics", 2, "unknown key 'boss'"),
        ("model.yaml", "owner: analytics\n", "", 1, "`owner` must be given"),
        ("model.yaml", "key: [stream_id]", "key: [stream]", 4, "'stream' is not among the columns"),
        ("model.yaml", "column: stream_day", "column: month", 5, "stream_day or day"),
        ("model.yaml", "WHERE samples = 0", "WHERE samples = median(1)", 18, "portable subset"),
        ("model.yaml", "FROM sample_counts", "FROM stream_minutes", 15, "say `when: build`"),
        ("model.yaml", "owner: analytics", "owner: [", 4, "not readable as YAML"),
        ("model.yaml", "owner: analytics", "owner: a\nowner: b", 3, "given twice"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_line_and_remedy(
    folder: Path, file: str, old: str, new: str, line: int, words: str
) -> None:
    path = change(folder, file, old, new)
    with pytest.raises(ModelError) as caught:
        load_models(folder)
    # what query.sql reads is compared with model.yaml, and reported where that says otherwise
    blamed = path if caught.value.path == path else folder / "sample_counts" / "model.yaml"
    assert str(caught.value).startswith(f"{blamed}:{line}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("column: hour_at", "column: score", "'score' must be a column of type timestamp"),
        ("key: [hour_at, content_kind", "key: [content_kind", "'hour_at' must be in the key"),
        ("horizon_days: 7", "horizon_days: 0", "a number of days, at least 1, not '0'"),
        ("dim_vods: as_of_hour", "dim_vods: whole", "selection 'whole' does not fit 'dim_vods'"),
        ("hourly: {column: hour_at, horizon_days: 7}\n", "", "'as_of_hour' does not fit"),
        ("views: as_of_hour", "channel_daily: as_of_hour", "does not fit 'channel_daily'"),
    ],
)
def test_a_mistake_of_an_hourly_model_is_named(
    folder: Path, old: str, new: str, words: str
) -> None:
    path = folder / "trending" / "model.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    if "channel_daily" in new:
        query = folder / "trending" / "query.sql"
        query.write_text(query.read_text().replace("FROM views", "FROM channel_daily"))
    with pytest.raises(ModelError, match=words):
        load_models(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "sample_counts" / "query.sql").unlink()
    with pytest.raises(ModelError, match=r"query\.sql:1: the file is missing"):
        load_models(folder)


def test_models_that_read_each_other_in_a_circle_are_refused(folder: Path) -> None:
    query = folder / "stream_samples" / "query.sql"
    text = query.read_text().replace(
        "FROM instants AS i", "FROM instants AS i CROSS JOIN sample_counts"
    )
    query.write_text(text)
    document = folder / "stream_samples" / "model.yaml"
    document.write_text(
        document.read_text().replace(
            "dim_streams: whole", "dim_streams: whole\n  sample_counts: same_partition"
        )
    )
    with pytest.raises(ModelError, match="in a circle"):
        load_models(folder)


def test_a_fingerprint_follows_the_query_and_not_the_descriptions(folder: Path) -> None:
    before = load_models(folder)["sample_counts"].fingerprint
    load_models.cache_clear()
    change(folder, "model.yaml", "How many.", "How many there are.")
    assert load_models(folder)["sample_counts"].fingerprint == before
    load_models.cache_clear()
    change(folder, "query.sql", "count(*)", "count(stream_id)")
    assert load_models(folder)["sample_counts"].fingerprint != before
