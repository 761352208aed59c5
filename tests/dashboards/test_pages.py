"""The pages over a published world, run by Streamlit's own tester."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from aethex.settings import Settings
from tests.dashboards.conftest import OpenPage, at
from tests.dashboards.world import Count, MadeStream, World, make_world


def markup(app: AppTest) -> str:
    """All HTML of the page."""
    assert not app.exception, app.exception
    return "\n".join(element.proto.body for element in app.main.get("html"))


def text(app: AppTest) -> str:
    """The page's HTML as a reader sees it, one space between words."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", markup(app))).split())


def tiles(app: AppTest) -> dict[str, tuple[str, str]]:
    """Each tile's number and the lines under it, by its label."""
    found = re.findall(r'<div class="ax-tile"><dt>(.*?)</dt>(.*?)</div>', markup(app))
    parts = {
        label: [
            " ".join(unescape(re.sub(r"<[^>]+>", "", line)).split())
            for line in re.findall(r"<dd.*?>(.*?)</dd>", body)
        ]
        for label, body in found
    }
    return {label: (lines[0], " ".join(lines[1:])) for label, lines in parts.items()}


def table(app: AppTest, key: str) -> dict[str, Any]:
    """What a table was given to draw."""
    (element,) = [e for e in app.main.get("bidi_component") if key in e.proto.id]
    return json.loads(element.proto.json or element.proto.mixed.json)


def test_the_channel_page_shows_the_newest_days_with_every_number_explained(
    world: World, open_page: OpenPage
) -> None:
    app = open_page(world.settings)
    assert "The Racer" in text(app)
    assert "3 Feb – 2 Mar 2026, compared with 6 Jan – 2 Feb 2026 · data to" in text(app)
    assert f"build …{world.build_id[-8:]}" in text(app)
    shown = tiles(app)
    assert shown["Streams"] == ("2", "▲ 100.0 % from 1")
    assert shown["Time live"] == ("3.0 h", "▲ 200.0 % from 1.0 h")
    assert shown["Average viewers"] == ("109", "▲ 117.7 % from 50")
    assert shown["Peak viewers"] == ("1,000", "2 Mar 2026, 19:10 UTC, Monday night")
    assert shown["Chat messages"] == ("180", "")
    assert shown["Coverage"] == ("56.4 %", "1 h 19 min not measured")
    assert "1 h 19 min was not measured and is left out of the averages" in text(app)
    assert "27 Feb 2026: 0 % measured, 1 h missing" in text(app)
    assert "2 Mar 2026: 84.6 % measured, 18 min 30 s missing" in text(app)


def test_the_channel_page_lists_its_streams_newest_first(world: World, open_page: OpenPage) -> None:
    app = open_page(world.settings, channel="racer", period="all")
    rows = table(app, "streams_table")["rows"]
    assert [row["cells"][0]["text"] for row in rows] == [
        "Monday night",
        "Nobody counted",
        "February warm-up",
    ]
    assert rows[0]["href"] == f"?channel=racer&stream={world.stream_ids['Monday night']}"
    assert rows[1]["cells"][0]["note"] == "viewers not measured"
    assert [cell["text"] for cell in rows[1]["cells"][3:7]] == ["—"] * 4


def test_a_channel_can_be_named_by_its_id_too(world: World, open_page: OpenPage) -> None:
    app = open_page(world.settings, channel=world.channel_ids["newcomer"])
    assert "New Here" in text(app)
    assert app.query_params["channel"] == "newcomer"


def test_choosing_a_channel_changes_the_address(world: World, open_page: OpenPage) -> None:
    app = open_page(world.settings)
    app.selectbox(key="channel_choice").select("newcomer").run()
    assert app.query_params["channel"] == "newcomer"
    assert "New Here" in text(app)


def test_choosing_a_period_changes_the_numbers_and_the_address(
    world: World, open_page: OpenPage
) -> None:
    app = open_page(world.settings, channel="racer")
    app.segmented_control(key="period_choice").set_value("all").run()
    assert app.query_params["period"] == "all"
    assert tiles(app)["Streams"] == ("3", "")


def test_a_period_of_dates_comes_from_the_address(world: World, open_page: OpenPage) -> None:
    app = open_page(world.settings, channel="racer", period="2026-01-31..2026-01-31")
    assert tiles(app)["Average viewers"][0] == "50"
    assert tiles(app)["Chat messages"][0] == "not measured"


def test_a_period_without_streams_says_so(world: World, open_page: OpenPage) -> None:
    app = open_page(world.settings, channel="racer", period="2025-01-01..2025-01-31")
    assert "No streams in this period" in text(app)


def test_the_stream_page_shows_what_was_measured_and_what_was_not(
    world: World, open_page: OpenPage
) -> None:
    app = open_page(world.settings, stream=world.stream_ids["Monday night"])
    assert "Monday night" in text(app)
    assert "2 Mar 2026, 18:00–20:00 UTC" in text(app)
    shown = tiles(app)
    assert shown["Peak viewers"] == ("1,000", "2 Mar 2026, 19:10 UTC")
    assert shown["Average viewers"] == ("109", "over 1 h 42 min measured")
    assert shown["Chat messages"] == ("180", "1.50 per minute")
    assert shown["Duration"] == ("2 h", "")
    assert shown["Coverage"] == ("84.6 %", "20 of 120 samples not measured")
    assert "18 min 30 s of this time was not measured" in text(app)
    assert "2 Mar 2026, 18:31–18:50 UTC (18 min 30 s)" in text(app)


def test_the_stream_page_keeps_channel_and_stream_in_its_address(
    world: World, open_page: OpenPage
) -> None:
    stream_id = world.stream_ids["Monday night"]
    app = open_page(world.settings, stream=stream_id)
    assert app.query_params == {"channel": "racer", "stream": stream_id}


def test_segments_are_listed_with_their_own_numbers(world: World, open_page: OpenPage) -> None:
    app = open_page(world.settings, stream=world.stream_ids["Monday night"])
    warm_up, main, after = table(app, "segments_table")["rows"]
    assert [cell["text"] for cell in main["cells"]] == [
        "Main run",
        "2 Mar 2026, 19:00",
        "0:50:00",
        "1,000",
        "118",
        "100",
        "2.00",
        "100 %",
    ]
    assert main["cells"][0]["note"] == "Racing"
    assert warm_up["cells"][0]["text"] == "Warm-up <b>&"
    assert [cell["text"] for cell in after["cells"][3:]] == ["—"] * 5


def test_choosing_a_segment_zooms_the_chart_and_names_its_numbers(
    world: World, open_page: OpenPage
) -> None:
    app = open_page(world.settings, stream=world.stream_ids["Monday night"])
    main_id = table(app, "segments_table")["rows"][1]["id"]
    app.selectbox(key="segment_choice").select(main_id).run()
    assert app.query_params["segment"] == main_id
    assert (
        "2 Mar 2026, 19:00–19:50 UTC · peak 1,000 · average 118 · 100 messages · coverage 100 %"
        in text(app)
    )
    assert table(app, "segments_table")["selected"] == main_id
    assert "not measured and is left out" not in text(app)


def test_a_segment_outside_the_stream_says_that_nothing_is_measured(
    world: World, open_page: OpenPage
) -> None:
    app = open_page(world.settings, stream=world.stream_ids["Monday night"])
    after_id = table(app, "segments_table")["rows"][2]["id"]
    app.selectbox(key="segment_choice").select(after_id).run()
    assert "lies outside the time that the stream was live" in text(app)


def test_titles_reach_the_page_as_text_never_as_markup(world: World, open_page: OpenPage) -> None:
    app = open_page(world.settings, stream=world.stream_ids["Monday night"])
    warm_up = table(app, "segments_table")["rows"][0]["id"]
    app.selectbox(key="segment_choice").select(warm_up).run()
    assert "Warm-up &lt;b&gt;&amp;" in markup(app)
    assert "Warm-up <b>" not in markup(app)


def test_the_chart_has_a_table_twin(world: World, open_page: OpenPage) -> None:
    app = open_page(world.settings, stream=world.stream_ids["Monday night"])
    assert len(app.dataframe) == 0
    app.session_state["points"] = True
    app.run()
    twin = app.dataframe[0].value
    assert len(twin) == 120
    assert list(twin["Viewers"].isna()).count(True) == 20


def test_a_stream_that_nobody_measured_says_so_and_what_to_do(
    world: World, open_page: OpenPage
) -> None:
    app = open_page(world.settings, stream=world.stream_ids["Nobody counted"])
    assert "Viewers were not measured" in text(app)
    assert "aethex import viewers FILE --channel racer --stream 'Nobody counted'" in text(app)


def told_stream(counts: Sequence[Count]) -> MadeStream:
    """Four sessions of three people, and one of a crawler; two of them write."""
    return MadeStream(
        "Told",
        counts,
        bounds=(at(0), at(30)),
        sessions=[
            ("usr_1", at(0), 20, None),
            ("usr_2", at(5), 10, None),
            ("vw_3", at(6), 4, None),
            ("vw_3", at(25), 2, None),
            (None, at(7), 3, "Googlebot"),
        ],
        chatters=[("usr_1", at(3)), ("usr_1", at(4)), ("usr_2", at(7))],
    )


def test_who_watched_is_shown_without_bots(settings: Settings, open_page: OpenPage) -> None:
    made = make_world(
        settings, {("racer", "The Racer"): [told_stream([(at(n), 10, 0) for n in range(30)])]}
    )
    app = open_page(settings, stream=made.stream_ids["Told"])
    shown = tiles(app)
    assert shown["Unique viewers"] == ("3", "")
    assert shown["Views"] == ("3", "4 with bots")  # a viewer's second within the hour is none
    assert shown["Watched"] == ("0.6 h", "12 min a viewer")
    assert shown["Most players at once"] == ("3", "2 Mar 2026, 18:06 UTC")
    assert shown["People in chat"] == ("2", "3 messages")
    assert shown["New followers"] == ("0", "")
    assert shown["Peak viewers"][0] == "10"


def test_who_watched_is_shown_where_nobody_counted_viewers(
    settings: Settings, open_page: OpenPage
) -> None:
    made = make_world(settings, {("racer", "The Racer"): [told_stream([])]})
    app = open_page(settings, stream=made.stream_ids["Told"])
    assert tiles(app)["Unique viewers"] == ("3", "")
    assert "Peak viewers" not in tiles(app)
    assert "No curve over time" in text(app)
    assert "not measured" not in text(app)


def test_what_no_player_told_is_left_out(settings: Settings, open_page: OpenPage) -> None:
    chat_alone = MadeStream(
        "Chat", [(at(n), 10, 0) for n in range(30)], chatters=[("usr_1", at(3)), ("usr_2", at(7))]
    )
    made = make_world(settings, {("racer", "The Racer"): [chat_alone]})
    app = open_page(settings, stream=made.stream_ids["Chat"])
    assert "Chat and follows" in text(app)
    assert tiles(app)["People in chat"] == ("2", "2 messages")
    assert tiles(app)["New followers"] == ("0", "")
    assert not {"Views", "Unique viewers", "Watched", "Most players at once"} & set(tiles(app))


def test_a_live_stream_says_since_when_and_that_its_numbers_are_so_far(
    settings: Settings, open_page: OpenPage
) -> None:
    counts = [(at(n), 10 * n, None) for n in range(30)]
    live = MadeStream("Right now", counts, is_live=True)
    made = make_world(settings, {("racer", "The Racer"): [live]})
    app = open_page(settings, stream=made.stream_ids["Right now"])
    assert "Right now live live since 2 Mar 2026, 18:00 UTC" in text(app)
    assert tiles(app)["Duration"] == ("30 min", "so far")
    assert tiles(app)["Peak viewers"] == ("290", "2 Mar 2026, 18:29 UTC")
    assert tiles(app)["Chat messages"] == ("not measured", "")


def test_a_channel_without_streams_says_what_to_do(world: World, open_page: OpenPage) -> None:
    app = open_page(world.settings, channel="newcomer")
    assert "No streams yet" in text(app)
    assert "aethex import viewers FILE --channel newcomer" in text(app)


def test_unknown_links_are_explained_and_lead_back(world: World, open_page: OpenPage) -> None:
    assert "No such channel" in text(open_page(world.settings, channel="nobody"))
    app = open_page(world.settings, stream="st_nothing")
    assert "No such stream" in text(app)
    app.button(key="home").click().run()
    assert "The Racer" in text(app)


def test_before_the_first_build_the_page_says_which_commands_bring_numbers(
    settings: Settings, open_page: OpenPage
) -> None:
    app = open_page(settings)
    assert "No numbers yet" in text(app)
    assert "aethex pipeline refresh" in text(app)


def test_a_build_without_channels_says_so(settings: Settings, open_page: OpenPage) -> None:
    make_world(settings, {})
    assert "No channels yet" in text(open_page(settings))


def test_a_store_that_does_not_answer_is_an_error_with_a_remedy(
    settings: Settings, tmp_path: Path, open_page: OpenPage
) -> None:
    (tmp_path / "file").write_text("not a folder")
    broken = settings.model_copy(update={"store_url": (tmp_path / "file").as_uri()})
    app = open_page(broken)
    assert "The numbers cannot be read right now" in text(app)
    assert "What is safe" in text(app)
    assert [button.label for button in app.button] == ["Try again"]


def test_a_build_whose_files_are_gone_is_an_error_not_a_zero(
    world: World, tmp_path: Path, open_page: OpenPage
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(world.settings.data_dir / "store", copy / "store")
    for file in (copy / "store" / "lake").rglob("*.parquet"):
        file.unlink()
    app = open_page(world.settings.model_copy(update={"data_dir": copy}))
    assert "The numbers cannot be read right now" in text(app)
    assert not tiles(app)


def test_what_nobody_foresaw_is_said_plainly_and_the_rest_of_the_page_stands(
    world: World, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("aethex.dashboards.charts.stream_chart", broken)
    app = open_page(world.settings, stream=world.stream_ids["Monday night"])
    assert tiles(app)["Peak viewers"][0] == "1,000"
    assert "This part of the page could not be drawn" in text(app)
    assert "secret detail" not in text(app)


def test_newer_data_is_announced(world: World, open_page: OpenPage) -> None:
    open_page(world.settings)

    def notice() -> None:
        import streamlit as st

        from aethex.dashboards.app import newer_data_notice

        st.session_state.setdefault("aethex_shown_build", "build_old")
        newer_data_notice()

    app = AppTest.from_function(notice).run()
    assert "New data to" in text(app)
    assert [button.label for button in app.button] == ["Show it"]
    app.session_state["aethex_shown_build"] = world.build_id
    assert text(app.run()) == ""
