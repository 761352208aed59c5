"""A table whose rows open something: links, sorting in the browser, aligned numbers.

What belongs here: the shape of rows and columns and mounting the component. What does not: which
columns a page shows, or how a number is worded.

Texts reach the browser as text nodes, never as markup, so titles need no escaping.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st
from streamlit.components import v2 as components

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Column:
    """One column. unit: said once, in the head. is_number: right-aligned, sorts largest first."""

    label: str
    unit: str = ""
    is_number: bool = False
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: what is read, what it sorts by (None sorts last), and what stands under it."""

    text: str
    sort: float | str | None = None
    note: str = ""
    bar_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its id is handed back when it is chosen; href opens it in a tab of its own."""

    id: str
    href: str
    cells: tuple[Cell, ...]


@st.cache_resource(show_spinner=False)
def _component() -> Callable[..., object]:
    return components.component(
        "aethex_table",
        css=(_HERE / "table.css").read_text(encoding="utf-8"),
        js=(_HERE / "table.js").read_text(encoding="utf-8"),
    )


def table(
    label: str,
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    key: str,
    selected: str | None = None,
    sorted_by: int | None = None,
    is_descending: bool = False,
    on_choose: Callable[[str], None] | None = None,
) -> None:
    """Draw the table; `label` names it, `on_choose` gets a chosen row's id.

    The rows are shown in the given order until a head is clicked; `sorted_by` and `is_descending`
    only mark the column that this order follows.
    """

    def chosen() -> None:
        state = st.session_state.get(key)
        row_id = getattr(state, "chosen", None)
        if on_choose is not None and isinstance(row_id, str):
            on_choose(row_id)

    _component()(
        key=key,
        data={
            "label": label,
            "columns": [asdict(column) for column in columns],
            "rows": [asdict(row) for row in rows],
            "selected": selected,
            "sortedBy": sorted_by,
            "isDescending": is_descending,
            "isClickable": on_choose is not None,
        },
        on_chosen_change=chosen,
    )
