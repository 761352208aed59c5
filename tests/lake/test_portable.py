import pytest

from aethex.lake.models import load_models
from aethex.lake.portable import read_query


def query(expression: str = "a", tail: str = "") -> str:
    """A query whose third line holds the expression and whose fifth line is the tail."""
    return f"SELECT\n    b,\n    {expression}\nFROM t\n{tail}"


@pytest.mark.parametrize(
    ("sql", "line", "words"),
    [
        (query("median(a)"), 3, "median"),
        (query("quantile_cont(a, 0.5)"), 3, "rank with row_number"),
        (query("approx_count_distinct(a)"), 3, "count(DISTINCT"),
        (query("mode(a)"), 3, "ties"),
        (query("list(a ORDER BY b)"), 3, "lose their order"),
        (query("string_agg(a, ',')"), 3, "lose their order"),
        (query("time_bucket(INTERVAL 5 MINUTE, a)"), 3, "date_trunc"),
        (query("any_value(a)"), 3, "row_number"),
        (query("first(a)"), 3, "row_number"),
        (query("avg(a)"), 3, "exact sum"),
        (query("random()"), 3, "the same rows each time"),
        (query("now()"), 3, "the same rows each time"),
        (query("current_date"), 3, "the same rows each time"),
        (query("regexp_extract(a, 'x')"), 3, "no other engine was compared"),
        (query("row_number() OVER (PARTITION BY b)"), 3, "needs an ORDER BY"),
        (query("sum(a) OVER (PARTITION BY b ORDER BY a)"), 3, "explicit frame"),
        (query("try_cast(a AS INTEGER)"), 3, "CAST"),
        (query("t.*"), 3, "name the columns"),
        (query("[a]"), 3, "lists"),
        (query(tail="GROUP BY ALL"), 5, "GROUP BY ALL"),
        (query(tail="GROUP BY 1"), 5, "a position"),
        (query(tail="ORDER BY ALL"), 5, "ORDER BY ALL"),
        (query(tail="ORDER BY b\nLIMIT 5"), 6, "row_number"),
        (query(tail="ASOF JOIN u ON t.a >= u.a"), 5, "ASOF JOIN"),
        (query(tail="NATURAL JOIN u"), 5, "NATURAL JOIN"),
        (query(tail="JOIN other.u ON u.a = t.a"), 5, "plain name"),
        (query(tail="JOIN read_parquet('x') AS u ON u.a = t.a"), 5, "declare it"),
        ("SELECT * FROM t", 1, "name the columns"),
        ("SELECT DISTINCT ON (a) a FROM t", 1, "DISTINCT ON"),
        ("SELECT a FROM t; SELECT b FROM t", 1, "exactly one SELECT"),
        ("DELETE FROM t", 1, "exactly one SELECT"),
        ("SELECT a,\nFROM", 2, "not readable as SQL"),
    ],
)
def test_what_is_outside_the_subset_is_refused_with_its_line(
    sql: str, line: int, words: str
) -> None:
    problems = read_query(sql).problems
    assert [problem.line for problem in problems if words in problem.message][:1] == [line]


@pytest.mark.parametrize(
    "expression",
    [
        "count(*)",
        "count(DISTINCT a)",
        "sum(a) FILTER (WHERE b > 0)",
        "arg_max(a, b)",
        "lag(a) OVER (PARTITION BY b ORDER BY a)",
        "sum(a) OVER (PARTITION BY b ORDER BY a ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
        "date_trunc('minute', a) + INTERVAL '1' MINUTE",
        "CAST(epoch_us(a) AS DOUBLE) / 1000000",
        "epoch(a) - epoch(a) % 300",
        "CASE WHEN a IS NULL THEN 0 ELSE greatest(a, b) END",
        "coalesce(nullif(a, 0), least(a, b))",
    ],
)
def test_the_portable_forms_are_allowed(expression: str) -> None:
    assert read_query(query(expression)).problems == ()


def test_tables_are_those_that_are_no_ctes_and_parameters_those_with_a_name() -> None:
    found = read_query(
        "WITH a AS (SELECT x FROM t WHERE d = $day), b AS (SELECT x FROM a) "
        "SELECT b.x FROM b JOIN (VALUES (0), (1)) AS o(k) ON o.k = b.x "
        "WHERE b.x IN (SELECT y FROM u WHERE d = CAST($other AS DATE))"
    )
    assert found.tables == {"t", "u"}
    assert found.parameters == {"day", "other"}
    assert found.problems == ()


def test_every_model_and_every_check_is_in_the_subset() -> None:
    for model in load_models():
        assert read_query(model.sql).problems == ()
        for check in model.checks:
            assert read_query(check.sql).problems == ()
