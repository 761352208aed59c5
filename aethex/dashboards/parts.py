"""Pieces of a page as HTML: heads, tiles, panel titles, notes.

What belongs here: pure functions from values to markup (every text escaped) and drawing it. What
does not: which pieces a page has, or the look (`style.css`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

import streamlit as st

from aethex.dashboards import wording


@dataclass(frozen=True, slots=True)
class Tile:
    """One number that matters. exact: shown on hover. change: `wording.change`, from `before`."""

    label: str
    value: str
    note: str = ""
    exact: str = ""
    change: tuple[str, str] | None = None
    before: str = ""


def tiles(items: Iterable[Tile], label: str) -> None:
    """A row of tiles that wraps; `label` names it for assistive technology."""
    st.html(
        f'<dl class="ax-tiles" aria-label="{escape(label)}">' + "".join(map(_tile, items)) + "</dl>"
    )


def _tile(tile: Tile) -> str:
    is_missing = tile.value == wording.NOT_MEASURED
    exact = f' title="{escape(tile.exact)}"' if tile.exact else ""
    parts = [
        f'<div class="ax-tile"><dt>{escape(tile.label)}</dt>',
        f'<dd class="v{" none" if is_missing else ""}"{exact}>{_with_unit(tile.value)}</dd>',
    ]
    if tile.change is not None:
        text, way = tile.change
        before = f" from {tile.before}" if tile.before and way != "flat" and text != "new" else ""
        parts.append(
            f'<dd class="n"><span class="ax-{way}">{escape(text)}</span>{escape(before)}</dd>'
        )
    if tile.note:
        parts.append(f'<dd class="n">{escape(tile.note)}</dd>')
    return "".join([*parts, "</div>"])


def _with_unit(value: str) -> str:
    """Numbers large, the units after them small: `7 d 3 h`, `95.4 %`."""
    if value == wording.NOT_MEASURED:
        return escape(value)
    words = value.split(" ")
    return " ".join(
        escape(word) if word[:1].isdigit() else f"<small>{escape(word)}</small>" for word in words
    )


def head(
    title: str,
    line: str,
    *,
    pill: tuple[str, str] | None = None,
    link: tuple[str, str] | None = None,
    under: str = "",
) -> None:
    """The page's head: title, a pill beside it as (text, class), a line with a (text, address).

    under: what stands below, as markup.
    """
    badge = f' <span class="ax-pill {pill[1]}">{escape(pill[0])}</span>' if pill else ""
    anchor = (
        f' · <a href="{escape(link[1])}" target="_blank" rel="noopener">{escape(link[0])}</a>'
        if link
        else ""
    )
    st.html(
        f'<header class="ax-head"><h1>{escape(title)}{badge}</h1>'
        f"<p>{escape(line)}{anchor}</p>{under}</header>"
    )


def panel_title(title: str, text: str = "", legend: Sequence[tuple[str, str]] = ()) -> None:
    """A panel's title, what it shows after it, and its legend as (colour, name)."""
    keys = "".join(
        f'<span><i class="ax-key" style="background:{escape(colour)}"></i>{escape(name)}</span>'
        for colour, name in legend
    )
    st.html(
        f'<div class="ax-panel-title"><h2>{escape(title)}</h2>'
        f"<span>{escape(text)}</span>{keys}</div>"
    )


def note(text: str, items: Sequence[str] = ()) -> None:
    """Something that the reader should know about the numbers above it."""
    rows = "".join(f"<li>{escape(item)}</li>" for item in items)
    st.html(
        f'<div class="ax-note" role="note">{escape(text)}{f"<ul>{rows}</ul>" if rows else ""}</div>'
    )


def small(text: str) -> None:
    """A line of context in small grey type."""
    st.html(f'<p class="ax-fresh">{escape(text)}</p>')


def freshness(data_until: datetime | None, build_id: str, text: str = "") -> str:
    """After `text`: how new the numbers are and their build (its whole id on hover), as markup."""
    until = wording.moment(data_until, zone=True) if data_until else "nothing yet"
    before = f"{escape(text)} · " if text else ""
    return (
        f'<p class="ax-fresh">{before}data to {escape(until)} '
        f'(<span title="{escape(build_id)}">build …{escape(build_id[-8:])}</span>)</p>'
    )
