"""The SQL subset of the models: what gives the same rows on DuckDB and on Spark Connect.

What belongs here: parsing a model's query, refusing what is outside the subset with the line named,
and the tables and parameters that it reads. What does not: `model.yaml` (`models`), running
(`runner`).

Why a subset: translating DuckDB SQL to Spark never raised an error, yet many constructs failed
there or silently changed their meaning (approximations, `mode`, ordered list aggregates, ASOF
joins, `time_bucket`). Why an allow-list: a construct that nobody has compared on both engines is
refused, not hoped for. Two renames are left to the translation, and known to be exact: `epoch_us`
is Spark's `unix_micros`, and `$name` its `:name`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError


@dataclass(frozen=True)
class Problem:
    """Something in a query that the subset does not allow. line: from 1."""

    line: int
    message: str


@dataclass(frozen=True)
class Query:
    """What a query says about itself: the tables it reads (not its CTEs) and its `$parameters`."""

    tables: frozenset[str]
    parameters: frozenset[str]
    problems: tuple[Problem, ...]


_FUNCTIONS = {
    "abs": exp.Abs,
    "arg_max": exp.ArgMax,
    "arg_min": exp.ArgMin,
    "case": exp.Case,
    "cast": exp.Cast,
    "coalesce": exp.Coalesce,
    "count": exp.Count,
    "date_trunc": exp.TimestampTrunc,
    "epoch": exp.TimeToUnix,
    "floor": exp.Floor,
    "greatest": exp.Greatest,
    "lag": exp.Lag,
    "lead": exp.Lead,
    "least": exp.Least,
    "lower": exp.Lower,
    "max": exp.Max,
    "min": exp.Min,
    "nullif": exp.Nullif,
    "power": exp.Pow,
    "row_number": exp.RowNumber,
    "sum": exp.Sum,
    "upper": exp.Upper,
}
_ALLOWED_FUNCTIONS = (*_FUNCTIONS.values(), exp.If, exp.DateTrunc, exp.And, exp.Or, exp.Exists)
_ALLOWED_BY_NAME = frozenset({"epoch_us"})
_WINDOW_FUNCTIONS_WITHOUT_FRAME = (exp.RowNumber, exp.Lag, exp.Lead)

_ALLOWED_NODES = (
    exp.Select, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Qualify, exp.Order,
    exp.Ordered, exp.With, exp.CTE, exp.Subquery, exp.Union, exp.Intersect, exp.Except, exp.Values,
    exp.Tuple, exp.Paren, exp.Table, exp.TableAlias, exp.Column, exp.Identifier, exp.Alias,
    exp.Literal, exp.Null, exp.Boolean, exp.Placeholder, exp.Parameter, exp.DataType,
    exp.DataTypeParam, exp.Interval, exp.Var, exp.Filter, exp.Window, exp.WindowSpec, exp.Distinct,
    exp.Star, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg, exp.EQ, exp.NEQ,
    exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.Not, exp.In, exp.Between, exp.NullSafeEQ,
    exp.NullSafeNEQ,
)  # fmt: skip

_TIES = (
    "its result depends on the order of rows: pick one with row_number() over a key without ties"
)
_SAME = "a model gives the same rows each time it runs: take the day as its parameter"
_REASONS: dict[type[exp.Expr], str] = {
    exp.AnyValue: _TIES,
    exp.First: _TIES,
    exp.Last: _TIES,
    exp.Mode: "ties are broken differently on each engine: count, then take row_number() = 1",
    exp.ArrayAgg: "lists lose their order on other engines: aggregate to numbers, or join",
    exp.GroupConcat: "lists lose their order on other engines: aggregate to numbers, or join",
    exp.ApproxDistinct: "published numbers are exact: use count(DISTINCT …)",
    exp.ApproxQuantile: "published numbers are exact: rank with row_number()",
    exp.Quantile: "it does not translate: rank with row_number()",
    exp.PercentileCont: "it does not translate: rank with row_number()",
    exp.PercentileDisc: "it does not translate: rank with row_number()",
    exp.Median: "it does not translate: rank with row_number()",
    exp.DateBin: "it does not translate: write epoch(t) - epoch(t) % 300, or date_trunc",
    exp.Avg: "sums of floats depend on the order of rows: divide an exact sum by a count",
    exp.Rand: "a model gives the same rows each time it runs",
    exp.CurrentDate: _SAME,
    exp.CurrentTimestamp: _SAME,
    exp.Explode: "lists are outside the subset: join with (VALUES …)",
    exp.Unnest: "lists are outside the subset: join with (VALUES …)",
    exp.Array: "lists are outside the subset: use rows",
    exp.Struct: "structs are outside the subset: use columns",
    exp.Lateral: "write a join",
    exp.Pivot: "write sum(CASE WHEN … THEN … END)",
    exp.Limit: "keep rows with row_number() over a key that has no ties",
    exp.Offset: "keep rows with row_number() over a key that has no ties",
    exp.TableSample: "a model gives the same rows each time it runs",
    exp.TryCast: "a value that does not fit must stop the run: use CAST",
    exp.ReadParquet: "name the table and declare it under `reads`",
    exp.ReadCSV: "name the table and declare it under `reads`",
}
_REASONS_BY_NAME = {
    "now": _SAME,
    "time_bucket": _REASONS[exp.DateBin],
}


def read_query(sql: str) -> Query:
    """Parse one SELECT of DuckDB SQL and find everything in it that is outside the subset.

    A query that does not parse has one problem, with the parser's words.
    """
    try:
        statements = [node for node in sqlglot.parse(sql, read="duckdb") if node is not None]
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        line = int(first.get("line") or 1)
        words = re.sub(r" but got <Token.*", "", str(first.get("description") or error))
        return _unreadable(line, f"not readable as SQL: {words}")
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        return _unreadable(1, "a model is exactly one SELECT")
    root = statements[0]
    places = _Places(sql, root)
    problems = {
        Problem(places.line(node), message)
        for node in root.walk()
        for message in _problems_of(node)
    }
    ctes = {cte.alias_or_name.lower() for cte in root.find_all(exp.CTE)}
    tables = {table.name for table in root.find_all(exp.Table) if table.name}
    return Query(
        tables=frozenset(name for name in tables if name.lower() not in ctes),
        parameters=frozenset(node.name for node in root.find_all(exp.Placeholder, exp.Parameter)),
        problems=tuple(sorted(problems, key=lambda problem: (problem.line, problem.message))),
    )


def _unreadable(line: int, message: str) -> Query:
    return Query(frozenset(), frozenset(), (Problem(line, message),))


def _problems_of(node: exp.Expr) -> list[str]:
    """What is wrong with one node itself, its children aside."""
    if isinstance(node, exp.Func):
        return _function_problems(node)
    found: list[str] = []
    if type(node) in _REASONS:
        found.append(f"{_name(node)} is outside the portable subset: {_REASONS[type(node)]}")
    elif not isinstance(node, _ALLOWED_NODES):
        found.append(
            f"{_name(node)} is outside the portable subset: no other engine was compared for it"
        )
    elif isinstance(node, exp.Select):
        found += _select_problems(node)
    elif isinstance(node, exp.Join):
        found += _join_problems(node)
    elif isinstance(node, exp.Group):
        found += _group_problems(node)
    elif isinstance(node, exp.Window):
        found += _window_problems(node)
    elif isinstance(node, exp.Order) and any(_is_all(key) for key in node.expressions):
        found.append("ORDER BY ALL is outside the portable subset: name the columns")
    elif isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count):
        found.append(
            "SELECT * is refused: a column added upstream would change the table; name the columns"
        )
    elif isinstance(node, exp.Table) and (node.db or node.catalog):
        found.append(f"{node.sql()}: a model reads tables by their plain name")
    elif isinstance(node, exp.Placeholder) and not node.name:
        found.append("a parameter without a name: write $name")
    return found


def _function_problems(node: exp.Func) -> list[str]:
    if isinstance(node, _ALLOWED_FUNCTIONS) and type(node) not in _REASONS:
        return []
    name = _name(node)
    if isinstance(node, exp.Anonymous) and name in _ALLOWED_BY_NAME:
        return []
    reason = _REASONS.get(type(node)) or _REASONS_BY_NAME.get(name)
    if reason is None:
        allowed = ", ".join(sorted({*_FUNCTIONS, *_ALLOWED_BY_NAME}))
        reason = f"no other engine was compared for it; allowed are {allowed}"
    return [f"{name}() is outside the portable subset: {reason}"]


def _select_problems(node: exp.Select) -> list[str]:
    found: list[str] = []
    distinct = node.args.get("distinct")
    if isinstance(distinct, exp.Distinct) and distinct.args.get("on") is not None:
        found.append("DISTINCT ON is outside the portable subset: use row_number() = 1")
    return found


def _join_problems(node: exp.Join) -> list[str]:
    method = str(node.args.get("method") or "").upper()
    if method == "ASOF":
        return [
            "ASOF JOIN is outside the portable subset: join on the range, keep row_number() = 1"
        ]
    if method:
        return [f"{method} JOIN is outside the portable subset: write the columns after ON"]
    return []


def _group_problems(node: exp.Group) -> list[str]:
    if node.args.get("all"):
        return ["GROUP BY ALL is outside the portable subset: name the columns"]
    if any(isinstance(key, exp.Literal) for key in node.expressions):
        return ["GROUP BY a position is refused: name the columns"]
    if any(node.args.get(kind) for kind in ("grouping_sets", "cube", "rollup")):
        return ["GROUPING SETS, CUBE and ROLLUP are outside the portable subset: write UNION ALL"]
    return []


def _window_problems(node: exp.Window) -> list[str]:
    function = node.this.this if isinstance(node.this, (exp.Filter, exp.IgnoreNulls)) else node.this
    order, frame = node.args.get("order"), node.args.get("spec")
    if isinstance(function, _WINDOW_FUNCTIONS_WITHOUT_FRAME):
        return [] if order else [f"{_name(function)}() needs an ORDER BY in its window"]
    if order and frame is None:
        return [
            "a window with ORDER BY needs an explicit frame (ROWS BETWEEN …): the default "
            "takes ties together"
        ]
    if frame is not None and str(frame.args.get("kind") or "").upper() != "ROWS":
        return ["only ROWS frames are in the portable subset"]
    return []


def _is_all(key: exp.Expr) -> bool:
    column = key.this if isinstance(key, exp.Ordered) else key
    name = column.name if isinstance(column, (exp.Var, exp.Column)) else ""
    return name.upper() == "ALL"


def _name(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return node.name.lower()
    if isinstance(node, exp.Func):
        return node.sql_name().lower()
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).upper()


class _Places:
    """Lines of nodes. The parser marks only some, so others take the nearest mark inside or before
    them.
    """

    def __init__(self, sql: str, root: exp.Expr) -> None:
        self._sql = sql
        self._root = root

    def line(self, node: exp.Expr) -> int:
        """The line, from 1, on which the node stands."""
        keyword = self._keyword_line(node)
        if keyword is not None:
            return keyword
        inside = [self._mark(child) for child in node.walk()]
        marked = [line for line in inside if line is not None]
        if marked:
            return min(marked)
        by_name = self._only_place(rf"\b{re.escape(_name(node))}\b")
        if by_name is not None:
            return by_name
        parent = node.parent
        return self.line(parent) if parent is not None else 1

    def _mark(self, node: exp.Expr) -> int | None:
        start = node.meta.get("start")
        return self._sql.count("\n", 0, start) + 1 if isinstance(start, int) else None

    def _keyword_line(self, node: exp.Expr) -> int | None:
        """Keywords that the tree keeps without a position are found in the text when they occur
        once.
        """
        pattern = None
        if isinstance(node, exp.Group) and node.args.get("all"):
            pattern = r"\bGROUP\s+BY\s+ALL\b"
        elif isinstance(node, exp.Order) and any(_is_all(key) for key in node.expressions):
            pattern = r"\bORDER\s+BY\s+ALL\b"
        elif isinstance(node, exp.Join) and node.args.get("method"):
            pattern = rf"\b{node.args['method']}\s+"
        elif isinstance(node, exp.Limit):
            pattern = r"\bLIMIT\b"
        return self._only_place(pattern) if pattern is not None else None

    def _only_place(self, pattern: str) -> int | None:
        """The line of what the pattern finds in the SQL without its comments, when it is there
        once.
        """
        text = re.sub(r"--[^\n]*", lambda match: " " * len(match.group()), self._sql)
        found = [match.start() for match in re.finditer(pattern, text, re.IGNORECASE)]
        return text.count("\n", 0, found[0]) + 1 if len(found) == 1 else None
