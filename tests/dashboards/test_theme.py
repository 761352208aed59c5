"""The colours stand in three places, because three readers cannot share one: they must agree."""

import re
import tomllib

from aethex.dashboards.theme import PALETTES, STYLE_PATH, Mode, wordmark

CONFIG = tomllib.loads(
    STYLE_PATH.with_name(".streamlit").joinpath("config.toml").read_text(encoding="utf-8")
)


def test_streamlits_theme_has_the_palette() -> None:
    for mode in PALETTES:
        palette, theme = PALETTES[mode], CONFIG["theme"][mode]
        assert theme["primaryColor"] == palette.accent
        assert theme["backgroundColor"] == palette.background
        assert theme["secondaryBackgroundColor"] == palette.surface
        assert theme["textColor"] == palette.text
        assert theme["borderColor"] == palette.line
        assert tuple(theme["chartCategoricalColors"]) == palette.series


def test_the_style_sheet_has_the_palette() -> None:
    pairs = dict(
        re.findall(
            r"--ax-([a-z-]+): light-dark\((#[0-9a-f]{6}, #[0-9a-f]{6})\)",
            STYLE_PATH.read_text(encoding="utf-8"),
        )
    )
    light, dark = PALETTES["light"], PALETTES["dark"]
    assert pairs["bg"] == f"{light.background}, {dark.background}"
    for name in ("surface", "line", "text", "muted", "accent", "live", "good", "warn"):
        assert pairs[name] == f"{getattr(light, name)}, {getattr(dark, name)}"


def test_text_is_readable_on_every_ground() -> None:
    for palette in PALETTES.values():
        for ink in (palette.text, palette.muted, palette.accent, palette.live, palette.good):
            for ground in (palette.background, palette.surface):
                assert contrast(ink, ground) >= 4.5, (ink, ground)
        assert contrast(palette.text, palette.accent_soft) >= 4.5
        assert contrast(palette.text, palette.band) >= 4.5
        assert contrast(palette.on_accent, palette.accent) >= 4.5


def test_the_wordmark_takes_the_modes_colours() -> None:
    modes: tuple[Mode, ...] = ("light", "dark")
    for mode in modes:
        assert PALETTES[mode].text in wordmark(mode)
        assert PALETTES[mode].accent in wordmark(mode)


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast of two colours."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
