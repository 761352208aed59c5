"""The pages, their addresses, and going from one to the other.

What belongs here: page objects and links that others can share. What does not: what is on a page.

A channel is `/?channel=<username>`, a stream `/?channel=<username>&stream=<id>`, with
`&segment=<id>` zoomed to one of its segments and `&period=<key>` for the channel's period. All live
at the root: Streamlit's browser code first looks for its server under the path of the page, so
deeper paths begin with failed requests.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import streamlit as st

from aethex.settings import get_settings

_REMEMBERED = "aethex_channel"


def pages() -> list[Any]:
    """The dashboards, and the way to the videos."""
    return [
        st.Page(_dashboards, title="Dashboards", icon=":material/monitoring:", default=True),
        st.Page(
            get_settings().effective_public_url, title="Videos", icon=":material/smart_display:"
        ),
    ]


def _dashboards() -> None:
    """The stream of the address, else the channel."""
    from aethex.dashboards.views import channel, stream

    if "stream" in st.query_params:
        stream.render()
    else:
        channel.render()


def stream_link(channel: str, stream_id: str, segment_id: str | None = None) -> str:
    """Address of a stream, relative to the dashboards' root."""
    values = {"channel": channel, "stream": stream_id}
    if segment_id is not None:
        values["segment"] = segment_id
    return f"?{urlencode(values)}"


def videos_link(channel: str) -> str:
    """Address of a channel's videos at the service."""
    return f"{get_settings().effective_public_url}/channel/{quote(channel)}/vods"


def open_stream(stream_id: str) -> None:
    """Show a stream from the next run on (for callbacks)."""
    st.query_params["stream"] = stream_id
    st.query_params.pop("segment", None)


def open_channel(channel: str) -> None:
    """Show a channel from the next run on (for callbacks)."""
    st.query_params.from_dict({"channel": channel})


def chosen_channel(default: str) -> str:
    """The channel (username or id) of the address, else the one looked at last."""
    return st.query_params.get("channel") or st.session_state.get(_REMEMBERED) or default


def remember_channel(username: str) -> None:
    """Keep the channel in the address and for the next page without one."""
    st.session_state[_REMEMBERED] = username
    if st.query_params.get("channel") != username:
        st.query_params["channel"] = username
