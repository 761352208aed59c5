from aethex.lake import docs
from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.event_tables import EVENT_TABLES
from aethex.lake.models import load_models


def test_the_metrics_page_is_what_the_definitions_say() -> None:
    written = docs.METRICS_PATH.read_text(encoding="utf-8")
    assert written == docs.current_text(), "run `python -m aethex.lake.docs`"


def test_every_table_and_column_is_on_the_page() -> None:
    text = docs.render_tables()
    tables = [*load_models().tables.values(), *DIM_TABLES.values(), *EVENT_TABLES.values()]
    for table in tables:
        section = text.partition(f"### {table.name}\n")[2].partition("\n### ")[0]
        for column in table.columns:
            assert f"| `{column.name}` | {column.type} | {column.unit} | " in section


def test_seconds_and_ratios_have_their_unit() -> None:
    for table in load_models().tables.values():
        for column in table.columns:
            if column.name.endswith("_seconds"):
                assert column.unit.endswith("seconds")
            if column.name.endswith("_ratio"):
                assert column.unit == "ratio 0-1"
            assert column.unit or column.type in ("string", "boolean", "int")
