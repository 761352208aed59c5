"""Whether the reader's page is light or dark, also after it was switched.

What belongs here: asking the browser. What does not: colours (`theme`).

Streamlit redraws its own elements when the theme is switched, but runs no script, and what a script
hears of the theme at its first run may be wrong: charts would keep the colours of the other mode.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.components import v2 as components

from aethex.dashboards.theme import Mode

_KEY = "aethex_mode_watch"

# Called at each run and at each switch of the theme; it speaks up only where Python is wrong.
_SCRIPT = """
export default function ({ data, parentElement, setStateValue }) {
  const scheme = getComputedStyle(parentElement.host ?? parentElement).colorScheme;
  const mode = scheme.includes("dark") ? "dark" : "light";
  if (mode !== data.mode) setStateValue("mode", mode);
}
"""


@st.cache_resource(show_spinner=False)
def _component() -> Callable[..., object]:
    return components.component("aethex_mode", js=_SCRIPT)


def reader_mode() -> Mode:
    """The mode of the reader's page; draws an element without a look that watches it."""
    reported = getattr(st.session_state.get(_KEY), "mode", None)
    known = reported or st.context.theme.type
    mode: Mode = "dark" if known == "dark" else "light"
    with st.container(key="aethex_unseen"):
        _component()(key=_KEY, data={"mode": mode}, on_mode_change=_nothing)
    return mode


def _nothing() -> None:
    """Streamlit keeps a component's state only where somebody listens."""
