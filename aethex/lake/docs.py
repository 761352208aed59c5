"""The generated half of docs/metrics.md: every table and column with unit and meaning.

What belongs here: rendering the definitions that the code runs on. What does not: the definitions
themselves (`model.yaml`, `tables`), and the prose above the marker, which is written by hand.

`python -m aethex.lake.docs` rewrites the part below the marker; a test fails when it is out of
date.
"""

from __future__ import annotations

from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.event_tables import EVENT_TABLES
from aethex.lake.models import Model, load_models
from aethex.lake.tables import Column, Table
from aethex.settings import PROJECT_DIR

METRICS_PATH = PROJECT_DIR / "docs" / "metrics.md"
_MARTS_INTRO = (
    "Each is a folder under `aethex/assets/models/`. A build holds them all as of one moment,\n"
    "after every check below has passed."
)
MARKER = "<!-- Below is generated: python -m aethex.lake.docs -->"


def current_text() -> str:
    """What docs/metrics.md should be: its prose as it is, the rest from the definitions.

    Raises ValueError when the file has no marker.
    """
    prose, found, _ = METRICS_PATH.read_text(encoding="utf-8").partition(MARKER)
    if not found:
        raise ValueError(f"{METRICS_PATH} has no line {MARKER!r}, below which the tables go")
    return f"{prose}{MARKER}\n\n{render_tables()}"


def render_tables() -> str:
    """Marts, dims and events as Markdown."""
    parts = ["## Marts", _MARTS_INTRO]
    parts += [_model(model) for model in load_models()]
    parts += ["## Dimensions", "The library's rows as the models and readers see them."]
    parts += [_table(table) for table in DIM_TABLES.values()]
    parts += ["## Events"]
    parts += [_table(table) for table in EVENT_TABLES.values()]
    return "\n\n".join(parts) + "\n"


def _model(model: Model) -> str:
    reads = ", ".join(f"`{name}`" for name in model.reads)
    facts = [
        f"- Grain: {model.grain}; key {_names(model.key)}.",
        f"- Replaced by `{model.partition_column}`; computed from {reads}. Owner: {model.owner}.",
    ]
    checks = [f"- Check `{check.name}`: {check.description}" for check in model.checks]
    return "\n\n".join([_table(model.table), "\n".join(facts + checks)])


def _table(table: Table) -> str:
    header = "| column | type | unit | meaning |\n| --- | --- | --- | --- |"
    rows = "\n".join(_row(column) for column in table.columns)
    return f"### {table.name}\n\n{table.doc}\n\n{header}\n{rows}"


def _row(column: Column) -> str:
    meaning = column.doc.replace("|", "\\|")
    return f"| `{column.name}` | {column.type} | {column.unit} | {meaning} |"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    METRICS_PATH.write_text(current_text(), encoding="utf-8")
