"""What a page shows when it has nothing, or cannot: empty and error states.

What belongs here: which state fits which situation, in words that say what to do next. What does
not: drawing pages that have data.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from shlex import quote

import duckdb
import streamlit as st

from aethex.lake.analytics import NotInBuild
from aethex.store import StoreError

_LOG = logging.getLogger(__name__)


def state(
    title: str, text: str, *, commands: tuple[str, ...] = (), facts: dict[str, str] | None = None
) -> None:
    """An empty state: what this is, and what to do next."""
    _draw(title, text, commands, facts or {}, is_error=False)


def _draw(
    title: str, text: str, commands: tuple[str, ...], facts: dict[str, str], *, is_error: bool
) -> None:
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items()
    )
    code = f"<pre><code>{escape(chr(10).join(commands))}</code></pre>" if commands else ""
    role = "alert" if is_error else "status"
    st.html(
        f'<section class="ax-state{" error" if is_error else ""}" role="{role}">'
        f"<h2>{escape(title)}</h2><p>{escape(text)}</p>{code}"
        f"{f'<dl>{rows}</dl>' if rows else ''}</section>"
    )


def no_build() -> None:
    """Nothing was ever published."""
    state(
        "No numbers yet",
        "The dashboards show what the pipeline has published, and it has published nothing so far. "
        "Bring in a stream's viewer counts, then refresh; a page that is open notices by itself.",
        commands=(
            'aethex import viewers FILE --channel NAME --stream "TITLE"',
            "aethex pipeline refresh",
        ),
    )


def no_channels() -> None:
    """There is a build, but no channel in it."""
    state(
        "No channels yet",
        "The last refresh found no channel. The first import into a channel makes it.",
        commands=(
            'aethex import viewers FILE --channel NAME --stream "TITLE"',
            "aethex pipeline refresh",
        ),
    )


def no_streams(channel: str) -> None:
    """A channel that has not streamed."""
    state(
        "No streams yet",
        f"@{channel} has no stream in this build. The first appears after the next refresh.",
        commands=(
            f'aethex import viewers FILE --channel {channel} --stream "TITLE"',
            "aethex pipeline refresh",
        ),
    )


def no_samples(channel: str, title: str, *, is_told: bool) -> None:
    """A stream for which no viewer count ever arrived. is_told: players told who watched."""
    state(
        "No curve over time" if is_told else "Viewers were not measured",
        "No viewer count a minute arrived for this stream, so there is nothing to draw: that is "
        "not the same as no viewers. Counts that exist elsewhere can be imported at any time.",
        commands=(
            f"aethex import viewers FILE --channel {channel} --stream {quote(title)}",
            "aethex pipeline refresh",
        ),
    )


def unknown(kind: str, key: str) -> None:
    """A link to something that the build does not hold."""
    state(
        f"No such {kind}",
        f"“{key}” is not in this build: it is unknown, or newer than the last refresh. "
        "If it was just made, refresh and open the link again.",
        commands=("aethex pipeline refresh",),
    )
    st.button(
        "To the channels", icon=":material/arrow_back:", on_click=st.query_params.clear, key="home"
    )


def failure(what: str, safe: str, remedy: str) -> None:
    """An error: what happened, what is safe, how to go on, and a button that tries again."""
    _draw(
        "The numbers cannot be read right now",
        what,
        (),
        {"What is safe": safe, "What to do": remedy},
        is_error=True,
    )
    if st.button("Try again", type="primary", icon=":material/refresh:"):
        st.rerun()


@contextmanager
def guarded() -> Iterator[None]:
    """Turn errors into states. (Streamlit's own reruns and stops are no Exceptions and pass.)"""
    try:
        yield
    except NotInBuild as error:
        unknown(error.kind, error.key)
    except StoreError as error:
        _LOG.warning("the store cannot be read: %s", error)
        failure(
            str(error),
            "Nothing is lost: the dashboards only read. Imports and recordings are not touched.",
            "Put the cause right, then try again. `aethex settings` shows what is configured.",
        )
    except (duckdb.Error, OSError) as error:
        _LOG.exception("a build cannot be read")
        failure(
            f"Reading the published build failed: {_first_line(error)}",
            "Builds are immutable and kept: none of the numbers are lost, and nothing was written.",
            "Try again. If it stays, `aethex pipeline refresh` publishes a fresh build.",
        )
    except Exception:
        _LOG.exception("a page cannot be drawn")
        _unforeseen()


def _unforeseen() -> None:
    failure(
        "This part of the page could not be drawn. The cause is in the dashboards' log.",
        "Everything: the dashboards only read, and no number was changed.",
        "Try again. If it stays, tell whoever runs the platform what you were looking at.",
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
