"""The dashboards' entry script, run by Streamlit at every interaction (start it with `__main__`).

What belongs here: the frame around all pages (theme, logo, navigation, the notice of newer data).
What does not: pages (`views`).
"""

from __future__ import annotations

import streamlit as st

from aethex.dashboards import navigation, queries, states, theme, wording
from aethex.dashboards.components.mode import reader_mode
from aethex.store import StoreError

_CHECK_SECONDS = 60


@st.fragment(run_every=_CHECK_SECONDS)
def newer_data_notice() -> None:
    """Says so when a build newer than the one on the page was published."""
    try:
        latest = queries.shown_build()
    except StoreError:
        return  # the page says so at its next run; the numbers on it are still right
    if latest is None or latest.build_id == st.session_state.get("aethex_shown_build"):
        return
    until = f" to {wording.moment(latest.data_until, zone=True)}" if latest.data_until else ""
    with st.container(horizontal=True, vertical_alignment="center", key="newer_data"):
        st.html(f'<p class="ax-fresh">New data{until} is there.</p>')
        if st.button("Show it", type="primary", icon=":material/refresh:"):
            st.rerun(scope="app")


def main() -> None:
    """Draw the frame and the page inside it."""
    st.set_page_config(
        page_title="AeThex·Live",
        page_icon=theme.favicon(),
        layout="wide",
        initial_sidebar_state="collapsed",
        menu_items={"About": "**AeThex·Live** creator dashboards. All times are UTC."},
    )
    st.html(theme.STYLE_PATH)
    mode = reader_mode()
    st.logo(theme.wordmark(mode), size="medium")
    page = st.navigation(navigation.pages(), position="top")
    with states.guarded():
        shown = queries.shown_build()
        st.session_state["aethex_shown_build"] = shown.build_id if shown else None
        st.session_state["aethex_mode"] = mode
        newer_data_notice()
        if shown is None:
            states.no_build()
        else:
            page.run()


if __name__ == "__main__":
    main()
