"""What only the owner is told of a VOD: its ledger, what is being made, and when it goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from aethex.library import GapCause, JobState, Library, Stream, Vod, jobs, live, vods
from aethex.library.ledger import Gap, Ledger
from aethex.library.recording import RecordingPolicy
from aethex.service.pages.owner_notes import CAUSES, MOST_GAPS, captured_text, owner_notes
from aethex.service.pages.wording import gap_text
from aethex.settings import Settings
from aethex.store import Store
from tests.service.captured import begin_vod, go_live, make_captured
from tests.service.conftest import Client
from tests.service.content import AT, MadeVod, add_vod
from tests.service.people import Person, give_channel, person

NOW = datetime(2026, 5, 3, 18, 0, tzinfo=UTC)
YEAR = RecordingPolicy(True, 60, 365, True, ("hls", "mp4"))


def a_vod(**changes: object) -> Vod:
    values = {"id": "vod_1", "status": "ready", "created_at": NOW, "storyboard_key": "x"}
    return Vod(**{**values, **changes})


def a_stream(**changes: object) -> Stream:
    return Stream(**{"status": "ended", "started_at": NOW, "ended_at": NOW, **changes})


@pytest.mark.parametrize(
    ("captured_ms", "gaps", "said"),
    [
        (1_000_000, 0, "100 % captured"),
        (999_999, 1, "99.99 % captured, 1 gap"),
        (999_700, 2, "99.97 % captured, 2 gaps"),
        (0, 1, "0.00 % captured, 1 gap"),
    ],
)
def test_what_is_missing_is_never_rounded_away(captured_ms: int, gaps: int, said: str) -> None:
    missing = tuple(Gap(n, n, "network") for n in range(gaps))
    assert captured_text(Ledger(1_000_000, captured_ms, missing)) == said


def test_of_a_stream_of_no_time_nothing_is_said() -> None:
    assert captured_text(Ledger(0, 0, ())) is None


def test_every_cause_has_words() -> None:
    assert set(CAUSES) == set(get_args(GapCause))
    assert [gap_text(ms) for ms in (40, 400, 9_940, 12_300, 59_600, 125_000)] == [
        *("0.1 s", "0.4 s", "9.9 s", "12 s", "1:00", "2:05"),
    ]


@pytest.mark.parametrize(
    ("vod", "stream", "days", "said", "is_soon"),
    [
        ({}, {}, 365, "Kept until 3 May 2027", False),
        ({}, {}, 30, "Kept until 2 Jun 2026", True),
        ({}, {}, 31, "Kept until 3 Jun 2026", False),
        ({"created_at": NOW - timedelta(days=400)}, {}, 365, "Kept until 3 May 2027", False),
        ({}, {}, 0, None, False),
        ({}, {"status": "live", "ended_at": None}, 365, None, False),
        ({"status": "processing"}, {}, 365, None, False),
        ({"deleted_at": NOW, "delete_reason": "owner"}, {}, 365, "Can be restored until 2 Jun", 1),
        ({"deleted_at": NOW, "delete_reason": "test"}, {}, 365, "Can be restored until 4 May", 1),
        (
            {"deleted_at": NOW, "purge_started_at": NOW},
            {},
            365,
            "Its video is being deleted",
            True,
        ),
    ],
)
def test_when_it_goes_is_said_ahead(
    vod: dict[str, object],
    stream: dict[str, object],
    days: int,
    said: str | None,
    is_soon: bool,
) -> None:
    policy = RecordingPolicy(True, 60, days, True, ("hls",))
    notes = owner_notes(a_vod(**vod), a_stream(**stream), policy, None, None, NOW)
    assert (notes.expiry_text or "").startswith(said or "")
    assert (notes.expiry_text is None, notes.is_soon) == (said is None, is_soon)


def test_one_that_is_over_and_still_there_goes_next() -> None:
    old = NOW - timedelta(days=366)
    notes = owner_notes(
        a_vod(created_at=old), a_stream(started_at=old, ended_at=old), YEAR, None, None, NOW
    )
    assert (notes.expiry_text, notes.is_soon) == ("Deleted by the next clean-up", True)


def test_what_is_still_being_made_is_named() -> None:
    fresh = a_vod(storyboard_key=None)
    cases: list[tuple[Vod, JobState | None]] = [
        (fresh, "queued"),
        (a_vod(storyboard_key=None, mp4_key="x"), "running"),
        (fresh, "failed"),
        (fresh, "cancelled"),
        (fresh, None),
        (a_vod(), "running"),
    ]
    said = [owner_notes(vod, a_stream(), YEAR, None, made, NOW).making_text for vod, made in cases]
    assert said == [
        "Storyboard, preview and MP4 are being made",
        "Storyboard and preview are being made",
        *["Storyboard, preview and MP4 could not be made"] * 2,
        None,
        None,
    ]


def test_of_many_gaps_the_longest_are_listed_in_order() -> None:
    gaps = tuple(Gap(n * 1000, n * 1000 + 100 + n, "network") for n in range(MOST_GAPS + 20))
    notes = owner_notes(a_vod(), a_stream(), YEAR, Ledger(10**6, 10**6 - 9, gaps), None, NOW)
    assert len(notes.gaps) == MOST_GAPS
    assert notes.gaps[0].from_text == "0:20"
    assert notes.gaps_note == "The 100 longest of 120 gaps."


@pytest.fixture
def ada(library: Library, settings: Settings) -> Person:
    return person(library, settings, "ada")


@pytest.fixture
def made(library: Library, folder_store: Store, ada: Person) -> MadeVod:
    """A VOD of Ada's: 100 seconds, of which 2.5 are missing."""
    made = add_vod(library, folder_store, username="adas", title="Evening")
    give_channel(library, "adas", ada)
    holes: list[tuple[float, float, GapCause]] = [
        (20, 22, "encoder_reconnect"),
        (50, 50.5, "recorder_down"),
    ]
    make_captured(library, made, lasted=timedelta(seconds=100), holes=holes)
    return made


def test_the_owner_sees_each_gap_and_nobody_else_does(
    client: Client, library: Library, settings: Settings, ada: Person, made: MadeVod
) -> None:
    page = ada.get(client, f"/vods/{made.id}").text
    for shown in (
        "97.50 % captured, 2 gaps",
        "The encoder lost its connection",
        "The recorder was stopped",
        "16:25:20 UTC",
        "2.0 s",
        "0.5 s",
        "Kept until",
    ):
        assert shown in page, shown
    card = ada.get(client, "/channel/adas/vods").text
    assert "97.50 % captured, 2 gaps" in card
    eve = person(library, settings, "eve")
    for path in (f"/vods/{made.id}", "/channel/adas/vods"):
        for page in (eve.get(client, path).text, client.get(path).text):
            assert "captured" not in page
            assert "Kept until" not in page


def test_of_an_imported_vod_there_is_no_ledger(
    client: Client, library: Library, folder_store: Store, ada: Person
) -> None:
    imported = add_vod(library, folder_store, username="adas")
    give_channel(library, "adas", ada)
    page = ada.get(client, f"/vods/{imported.id}").text
    assert "captured" not in page
    assert "Kept until" in page
    answer = ada.get(client, f"/api/vods/{imported.id}/ledger")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:aethex:problem:no-ledger")


def test_the_api_gives_the_ledger_to_the_owner(
    client: Client, library: Library, settings: Settings, ada: Person, made: MadeVod
) -> None:
    body = ada.get(client, f"/api/vods/{made.id}/ledger").json()
    assert (body["expected_seconds"], body["captured_seconds"]) == (100, 97.5)
    assert body["captured_ratio"] == 0.975
    assert body["gaps"][0] == {
        "from_seconds": 20,
        "to_seconds": 22,
        "duration_seconds": 2,
        "from_at": "2026-01-05T16:25:20Z",
        "cause": "encoder_reconnect",
    }
    assert client.get(f"/api/vods/{made.id}/ledger").status_code == 401
    eve = person(library, settings, "eve")
    assert eve.get(client, f"/api/vods/{made.id}/ledger").status_code == 403


def test_a_vod_in_the_making_is_its_owners_alone(
    client: Client, library: Library, settings: Settings, ada: Person
) -> None:
    stream = go_live(library, "adas", NOW, "Rehearsal")
    vod_id = begin_vod(library, stream)
    give_channel(library, "adas", ada)
    eve = person(library, settings, "eve")
    assert "Recording now" in ada.get(client, "/channel/adas/vods").text
    page = ada.get(client, f"/vods/{vod_id}")
    assert (page.status_code, "Recording now" in page.text) == (200, True)
    assert "<video" not in page.text
    assert ada.get(client, f"/api/vods/{vod_id}").status_code == 404
    assert ada.post(client, f"/vods/{vod_id}/like", like="on").status_code == 404
    for who in (eve.cookie, ""):
        assert client.get(f"/vods/{vod_id}", headers={"Cookie": who}).status_code == 404
        assert vod_id not in client.get("/channel/adas/vods", headers={"Cookie": who}).text
    with library.session() as s:
        assert stream.input_id is not None
        live.signal(s, stream.input_id, "ended", NOW, "bye", NOW)
    assert "Being finished" in ada.get(client, f"/vods/{vod_id}").text


def test_a_deleted_vod_says_until_when_it_can_be_restored(
    client: Client, library: Library, ada: Person, made: MadeVod
) -> None:
    with library.session() as s:
        vods.mark_deleted(s, made.id, NOW)
        jobs.enqueue(s, vods.DERIVE_KIND, made.id)
    for path in (f"/vods/{made.id}", "/channel/adas/vods"):
        page = ada.get(client, path).text
        # the clock of the machine may be past that day
        assert "Can be restored until 2 Jun 2026" in page or "is being deleted" in page
    assert "<video" not in ada.get(client, f"/vods/{made.id}").text


def test_who_is_live_is_said_on_the_channel_and_at_home(client: Client, library: Library) -> None:
    stream = go_live(library, "gdq", AT, "Bonus round <3")
    for path in ("/", "/channel/gdq/vods"):
        page = client.get(path).text
        assert "Bonus round &lt;3" in page, path
        assert "since 16:25 UTC" in page
        assert 'class="live-badge"' in page
    with library.session() as s:
        assert stream.input_id is not None
        live.signal(s, stream.input_id, "ended", NOW, "bye", NOW)
    for path in ("/", "/channel/gdq/vods"):
        assert "live-badge" not in client.get(path).text
