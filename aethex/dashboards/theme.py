"""The visual language in light and dark, and what of it Streamlit's theme cannot say.

What belongs here: colours, fonts, the chart configuration, the wordmark. What does not: layout of a
page (`views`), or the shapes of charts (`charts`). The colours repeat in `.streamlit/config.toml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Mode = Literal["light", "dark"]

FONT = "ui-sans-serif, system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
STYLE_PATH = Path(__file__).with_name("style.css")


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by meaning. `series` are the chart colours c1…c6, in order of use."""

    background: str
    surface: str
    line: str
    text: str
    muted: str
    accent: str
    accent_soft: str
    band: str
    on_accent: str
    live: str
    good: str
    warn: str
    series: tuple[str, str, str, str, str, str]


PALETTES: dict[Mode, Palette] = {
    "light": Palette(
        background="#f7f7f9",
        surface="#ffffff",
        line="#e4e5ea",
        text="#14161b",
        muted="#5d6270",
        accent="#5b3df5",
        accent_soft="#ddd6ff",
        band="#bcaefc",
        on_accent="#ffffff",
        live="#d7263d",
        good="#0b7a53",
        warn="#a86300",
        series=("#5b3df5", "#0b87a8", "#c2410c", "#0f8a5f", "#a21caf", "#5d6270"),
    ),
    "dark": Palette(
        background="#0d0e12",
        surface="#15171d",
        line="#282c36",
        text="#eceef3",
        muted="#9aa1b0",
        accent="#9a86ff",
        accent_soft="#352c66",
        band="#4d4196",
        on_accent="#14161b",
        live="#ff5468",
        good="#3ecf95",
        warn="#f2b34c",
        series=("#9a86ff", "#46c1e0", "#ff9760", "#3ecf95", "#e879f9", "#9aa1b0"),
    ),
}


def wordmark(mode: Mode) -> str:
    """The logo as SVG text in the mode's colours."""
    colours = PALETTES[mode]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="118" height="24" viewBox="0 0 118 24" '
        'role="img" aria-label="AeThex·Live">'
        f'<text x="0" y="18" font-family="{FONT}" font-size="18.5" font-weight="700" '
        f'textLength="116" lengthAdjust="spacingAndGlyphs" fill="{colours.text}">'
        f'AeThex<tspan fill="{colours.accent}">·</tspan>Live</text></svg>'
    )


def favicon() -> str:
    """The browser tab's icon as SVG: the accent's play mark on its own ground."""
    accent = PALETTES["light"].accent
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" viewBox="0 0 64 64">'
        f'<rect width="64" height="64" rx="15" fill="{accent}"/>'
        '<path d="M23 17.5v29a2 2 0 0 0 3 1.7l24-14.5a2 2 0 0 0 0-3.4L26 15.8a2 2 0 0 0-3 1.7z" '
        'fill="#fff"/></svg>'
    )


def chart_config(mode: Mode) -> dict[str, Any]:
    """Vega-Lite configuration of all charts: quiet axes, the interface's font, no frame."""
    colours = PALETTES[mode]
    return {
        "font": FONT,
        "background": "transparent",
        "view": {"stroke": None},
        "padding": {"left": 0, "right": 4, "top": 4, "bottom": 0},
        "range": {"category": list(colours.series)},
        "axis": {
            "domain": False,
            "ticks": False,
            "grid": True,
            "gridColor": colours.line,
            "gridWidth": 1,
            "labelColor": colours.muted,
            "labelFontSize": 12,
            "labelPadding": 8,
            "title": None,
        },
        "text": {"color": colours.muted, "fontSize": 12},
    }
