from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aethex.lake.import_values import (
    Tally,
    count_reason_sql,
    count_sql,
    moment_reason_sql,
    moment_sql,
    number_sql,
    parse_duration,
)


def moment(value: Any, arrow_type: pa.DataType | None = None) -> tuple[datetime | None, str | None]:
    raw = pa.table({"x": pa.array([value], arrow_type or pa.string())})
    sql = moment_sql("x", raw.schema.field("x").type)
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("raw", raw)
        found = connection.execute(
            f"SELECT moment, {moment_reason_sql('x', 'moment')} "
            f"FROM (SELECT x, {sql} AS moment FROM raw)"
        ).fetchone()
    assert found is not None
    return found


def count(value: Any, arrow_type: pa.DataType | None = None) -> tuple[int | None, str | None]:
    raw = pa.table({"x": pa.array([value], arrow_type or pa.string())})
    with duckdb.connect(":memory:") as connection:
        connection.register("raw", raw)
        found = connection.execute(
            f"SELECT {count_sql('n')}, {count_reason_sql('viewers', 'x', 'n')} "
            f"FROM (SELECT x, {number_sql('x', raw.schema.field('x').type)} AS n FROM raw)"
        ).fetchone()
    assert found is not None
    return found


ONE_PM = datetime.fromisoformat("2020-01-05T13:00:00")


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-05T13:00:00+00:00",
        "2020-01-05T13:00:00Z",
        "2020-01-05T13:00:00z",
        "2020-01-05T13:00:00",
        "2020-01-05 13:00:00",
        "2020-01-05 13:00",
        "2020-01-05T13:00Z",
        "2020-01-05T15:00+02",
        "2020-01-05T15:00+0200",
        " 2020-01-05T15:00:00+02:00 ",
        "2020-01-05T07:30:00-05:30",
        "20200105T130000Z",
        "2020-01-05T13:00:00.000000000Z",
        "1578229200",
        "1578229200.0",
        "1.5782292e9",
        "1578229200000",
        "1578229200000000",
        "1578229200000000000",
    ],
)
def test_one_instant_in_its_many_spellings(text: str) -> None:
    assert moment(text) == (ONE_PM, None)


@pytest.mark.parametrize(
    ("value", "arrow_type"),
    [
        (1578229200, pa.int64()),
        (1578229200, pa.int32()),
        (1578229200000, pa.int64()),
        (1578229200.0, pa.float64()),
        (ONE_PM, pa.timestamp("us")),
    ],
)
def test_one_instant_in_parquet_types(value: Any, arrow_type: pa.DataType) -> None:
    assert moment(value, arrow_type) == (ONE_PM, None)


def test_fractions_of_a_second_are_kept_to_the_microsecond() -> None:
    assert moment("2020-01-05T13:00:00.123456789Z")[0] == ONE_PM.replace(microsecond=123456)
    assert moment("1578229200.25")[0] == ONE_PM.replace(microsecond=250000)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "time is missing"),
        ("", "time is missing"),
        ("  ", "time is missing"),
        ("yesterday", "time is not understood"),
        ("2020-13-01T00:00:00", "time is not understood"),
        ("2020-01-05T13:00:61", "time is not understood"),
        ("nan", "time is not understood"),
        ("inf", "time is not understood"),
        ("1e300", "time is not understood"),
        ("true", "time is not understood"),
        ('{"a":1}', "time is not understood"),
        ("0", "time is not between 1990 and 2100"),
        ("20200105", "time is not between 1990 and 2100"),
        ("0001-01-01T00:00:00", "time is not between 1990 and 2100"),
        ("infinity", "time is not understood"),
        ("epoch", "time is not between 1990 and 2100"),
    ],
)
def test_what_is_no_time_says_why(text: str | None, reason: str) -> None:
    assert moment(text)[1] == reason


@settings(max_examples=30, deadline=None)
@given(st.datetimes(datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2099-12-31")))
def test_every_time_that_python_writes_is_read_back(at: datetime) -> None:
    assert moment(at.isoformat()) == (at, None)
    assert moment(f"{at.isoformat(sep=' ')}+00:00") == (at, None)


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("0", 0), (" 7 ", 7), ("7.0", 7), ("7e3", 7000), ("9007199254740992", 2**53)],
)
def test_whole_numbers_are_counts(text: str, value: int) -> None:
    assert count(text) == (value, None)


@pytest.mark.parametrize("text", [None, "", " ", "null", "None", "NaN", "nan", "NA", "n/a", "-"])
def test_what_stands_for_nothing_is_no_count_and_no_error(text: str | None) -> None:
    assert count(text) == (None, None)


def test_a_nan_of_parquet_is_no_count() -> None:
    assert count(float("nan"), pa.float64()) == (None, None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("-1", "viewers: negative"),
        ("-0.5", "viewers: negative"),
        ("7.5", "viewers: not a whole number"),
        ("many", "viewers: not a number"),
        ("true", "viewers: not a number"),
        ("1,000", "viewers: not a number"),
        ('{"a":1}', "viewers: not a number"),
        ("1e300", "viewers: too large"),
        ("inf", "viewers: too large"),
        ("-inf", "viewers: negative"),
    ],
)
def test_what_is_no_count_says_why(text: str, reason: str) -> None:
    assert count(text)[1] == reason


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("01:02:03", 3723),
        ("1:02:03", 3723),
        ("02:03", 123),
        ("100:00:00", 360_000),
        ("00:00:01.5", 1.5),
        ("PT1H2M3S", 3723),
        ("pt90m", 5400),
        ("P1DT1H", 90_000),
        ("90", 90),
        ("90.5", 90.5),
        (90, 90),
    ],
)
def test_durations_in_their_many_spellings(text: Any, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "abc", "0", "-5", "00:00:00", "1:60:00", "P", "PT", "nan", "inf", "1e30", None]
)
def test_what_is_no_duration_is_none(text: Any) -> None:
    assert parse_duration(text) is None


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_none(text: str) -> None:
    found = parse_duration(text)
    assert found is None or found > timedelta()


def test_a_tally_counts_all_and_keeps_the_first_examples() -> None:
    tally = Tally("line")
    for place in range(10):
        tally.add("bad", place, f"value\n{place}")
    tally.add_grouped("worse", 100, [(1, "x"), (2, None)])
    assert tally.count == 110
    assert [one.place for one in tally.by_reason["bad"].examples] == [f"line {i}" for i in range(5)]
    assert tally.by_reason["bad"].examples[0].value == "value 0"
    assert tally.by_reason["worse"].count == 100
