"""`POST /api/events` through the real application: what is acknowledged has landed."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pyarrow as pa
import pytest

from aethex.library import Library, tokens
from aethex.service.ingest.bodies import MAX_BODY_BYTES, MAX_UNPACKED_BYTES
from aethex.settings import Settings
from aethex.store import Store
from tests.service.conftest import Client
from tests.service.content import add_vod
from tests.service.sending import (
    Place,
    add_place,
    as_player,
    as_server,
    hours_ago,
    ids,
    iso,
    landed,
    quarantined,
    refusals,
    send,
    statuses,
)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"events_flush_ms": 0})


def test_good_events_land_beside_bad_ones_which_go_to_quarantine_whole(
    client: Client, place: Place, folder_store: Store
) -> None:
    good = [place.beat(sequence=n) for n in range(3)]
    bad = [place.beat(sequence="soon"), place.beat(position_ms=None), {"kind": "playback"}, 7]
    answer = as_player(client, [good[0], bad[0], good[1], bad[1], bad[2], bad[3], good[2]])
    assert statuses(answer) == [
        *("accepted", "rejected", "accepted", "rejected", "rejected", "rejected", "accepted")
    ]
    assert [field for field, _ in refusals(answer)] == ["sequence", "position_ms", "event_id", None]
    assert {row["event_id"] for row in landed(folder_store)} == ids(good)
    kept = quarantined(folder_store)
    assert [json.loads(row["event"]) for row in kept] == bad
    assert [row["field"] for row in kept] == ["sequence", "position_ms", "event_id", None]
    assert {row["sender"] for row in kept} == {"player"}


def test_the_answer_counts_and_names_each_event(client: Client, place: Place) -> None:
    twice = place.beat()
    answer = as_player(client, [twice, place.beat(rate=-1), twice]).json()
    assert (answer["accepted"], answer["rejected"], answer["duplicates"]) == (1, 1, 1)
    assert [result["status"] for result in answer["results"]] == [
        *("accepted", "rejected", "duplicate")
    ]
    assert answer["results"][0]["event_id"] == twice["event_id"]
    assert abs(datetime.fromisoformat(answer["received_at"]) - datetime.now(UTC)) < timedelta(
        minutes=1
    )


def test_a_flush_writes_one_object_whatever_the_kinds(
    client: Client, place: Place, folder_store: Store
) -> None:
    health = {**place.chat(characters=None, viewer_id=None), "kind": "health", "bitrate_kbps": 5000}
    events = [place.beat(), place.chat(), health]
    assert statuses(as_server(client, place.token, events)) == ["accepted"] * 3
    assert len(list(folder_store.list("landing"))) == 1
    payloads = {row["kind"]: row["payload"] for row in landed(folder_store)}
    assert payloads["health"] == {"bitrate_kbps": 5000.0}
    assert payloads["chat"] == {"characters": 12}
    assert payloads["playback"]["elapsed_ms"] == 15_000


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "text/plain", "application/json"])
def test_lines_are_events_too(
    client: Client, place: Place, folder_store: Store, content_type: str
) -> None:
    lines = b"\n".join(
        [json.dumps(place.beat()).encode(), b"", b"{not json", json.dumps(place.chat()).encode()]
    )
    answer = as_server(client, place.token, lines, **{})
    assert statuses(answer) == ["accepted", "rejected", "accepted"]
    answer = send(
        client,
        lines,
        headers={"Authorization": f"Bearer {place.token}", "Content-Type": content_type},
    )
    assert statuses(answer) == ["accepted", "rejected", "accepted"]
    assert quarantined(folder_store)[0]["event"] == "{not json"


# --- bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_packed_bodies_are_unpacked(client: Client, place: Place, encoding: str) -> None:
    body = packed(json.dumps([place.chat()] * 2).encode(), encoding)
    answer = as_server(client, place.token, body)
    assert answer.status_code == 422
    headers = {"Authorization": f"Bearer {place.token}", "Content-Encoding": encoding}
    assert statuses(send(client, body, headers=headers)) == ["accepted", "duplicate"]


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("damage", [lambda body: body[:-9], lambda body: body[:20], lambda _: b"x"])
def test_a_damaged_packed_body_is_refused_whole(
    client: Client, place: Place, folder_store: Store, encoding: str, damage
) -> None:
    lines = b"\n".join(json.dumps(place.chat()).encode() for _ in range(200))
    headers = {"Authorization": f"Bearer {place.token}", "Content-Encoding": encoding}
    answer = send(client, damage(packed(lines, encoding)), headers=headers)
    assert answer.status_code == 422
    assert landed(folder_store) == []


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_refused_by_its_unpacked_size(
    client: Client, place: Place, encoding: str
) -> None:
    headers = {"Authorization": f"Bearer {place.token}", "Content-Encoding": encoding}
    bomb = packed(b" " * (MAX_UNPACKED_BYTES * 8), encoding)
    assert len(bomb) < MAX_BODY_BYTES
    assert send(client, bomb, headers=headers).status_code == 413
    full = packed(json.dumps([place.chat()]).encode().ljust(MAX_UNPACKED_BYTES), encoding)
    assert send(client, full, headers=headers).status_code == 200


def test_a_body_above_its_size_is_refused_with_and_without_a_length(
    client: Client, place: Place
) -> None:
    body = json.dumps([place.chat()]).encode().ljust(MAX_BODY_BYTES)
    assert as_server(client, place.token, body).status_code == 200
    assert as_server(client, place.token, body + b" ").status_code == 413

    async def parts():
        for _ in range(3):
            yield b" " * (MAX_BODY_BYTES // 2)

    headers = {"Authorization": f"Bearer {place.token}", "Content-Type": "application/json"}
    answer = client.request("POST", "/api/events", content=parts(), headers=headers)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "holds no events"),
        (b"[]", "holds no events"),
        (b"  \n \n", "holds no events"),
        (b"[1", "no JSON array"),
        (b'[{"kind": "chat"}, {]', "no JSON array"),
        (b"time,viewers\n1,2\n", "neither a JSON array nor lines"),
        (b"\xff\xfe", "neither a JSON array nor lines"),
        (b"[" * 100_000, "no JSON array|nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply|no JSON object"),
        (json.dumps([{}] * 1001).encode(), "1,001 events"),
        (b"{}\n" * 1001, "1,001 events"),
    ],
)
def test_a_body_that_is_no_batch_is_refused_and_says_why(
    client: Client, place: Place, folder_store: Store, body: bytes, words: str
) -> None:
    answer = as_server(client, place.token, body)
    if answer.status_code == 200:  # a line that is nested too deeply is a bad event like others
        assert statuses(answer) == ["rejected"]
        return
    assert answer.status_code == 422
    assert pytest.importorskip("re").search(words, answer.json()["detail"])
    assert quarantined(folder_store) == []


def test_unknown_types_and_packings_are_415(client: Client, place: Place) -> None:
    authorization = {"Authorization": f"Bearer {place.token}"}
    for headers in ({"Content-Type": "text/html"}, {"Content-Encoding": "br"}):
        answer = send(client, [place.chat()], headers={**authorization, **headers})
        assert answer.status_code == 415
        assert next(iter(headers.values())) in answer.json()["detail"]


# --- times ----------------------------------------------------------------------------------------


def test_a_wrong_clock_does_no_harm(client: Client, place: Place, folder_store: Store) -> None:
    now = datetime.now(UTC)
    for error in (timedelta(days=400), timedelta(hours=-30), timedelta()):
        beat = place.beat(client_at=iso(now + error - timedelta(minutes=2)))
        assert statuses(send(client, [beat], sent_at=iso(now + error))) == ["accepted"]
    for row in landed(folder_store):
        occurred_at = row["occurred_at"].replace(tzinfo=UTC)
        assert abs(occurred_at - (now - timedelta(minutes=2))) < timedelta(seconds=30)
    clients = sorted(row["client_at"].replace(tzinfo=UTC) for row in landed(folder_store))
    assert clients[-1] == now + timedelta(days=400) - timedelta(minutes=2)


def test_sent_at_may_be_milliseconds(client: Client, place: Place) -> None:
    now = str(int(datetime.now(UTC).timestamp() * 1000))
    assert statuses(send(client, [place.beat()], sent_at=now)) == ["accepted"]
    for wrong in ("soon", "9" * 30, "0001-01-01T00:00:00+23:00"):
        answer = send(client, [place.beat()], sent_at=wrong)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "sent_at"


@pytest.mark.parametrize(
    ("hours", "is_taken"),
    [(7 * 24 - 0.1, True), (7 * 24 + 0.1, False), (-0.05, True), (-0.2, False)],
)
def test_events_too_old_or_ahead_go_to_quarantine(
    client: Client, place: Place, folder_store: Store, hours: float, is_taken: bool
) -> None:
    answer = as_server(client, place.token, [place.chat(client_at=hours_ago(hours))])
    assert statuses(answer) == ["accepted" if is_taken else "rejected"]
    assert len(quarantined(folder_store)) == (not is_taken)


@pytest.mark.parametrize(
    "client_at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01T00:00:00"]
)
def test_impossible_times_are_refused(client: Client, place: Place, client_at: str) -> None:
    answer = as_player(client, [place.beat(client_at=client_at)])
    assert [field for field, _ in refusals(answer)] == ["client_at"]
    answer = send(client, [place.beat(client_at=client_at)], sent_at="0001-01-01T00:00:00Z")
    assert [field for field, _ in refusals(answer)] == ["client_at"]


def test_a_player_has_to_say_when_it_sends(client: Client, place: Place) -> None:
    answer = send(client, [place.beat()])
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "sent_at"


def test_a_relay_says_when_it_took_a_batch_in(
    client: Client, place: Place, folder_store: Store
) -> None:
    at = datetime(2026, 1, 30, 12, tzinfo=UTC)
    chat = place.chat(client_at=iso(at - timedelta(seconds=5)))
    relayed = {"received_at": iso(at), "sent_at": iso(at - timedelta(seconds=3))}
    assert as_server(client, place.token, [chat], **relayed).status_code == 403
    assert statuses(as_server(client, place.platform_token, [chat], **relayed)) == ["accepted"]
    (row,) = landed(folder_store)
    assert row["received_at"] == at.replace(tzinfo=None)
    assert row["occurred_at"] == at.replace(tzinfo=None) - timedelta(seconds=2)
    ahead = {"received_at": iso(datetime.now(UTC) + timedelta(hours=1))}
    assert as_server(client, place.platform_token, [chat], **ahead).status_code == 422


# --- who may send what ----------------------------------------------------------------------------


def test_tokens_send_for_their_channel_and_the_platforms_for_all(
    client: Client, place: Place, library: Library
) -> None:
    other = add_place(library, "other")
    assert statuses(as_server(client, place.token, [place.chat()])) == ["accepted"]
    answer = as_server(client, place.token, [other.chat()])
    assert refusals(answer) == [
        ("channel_id", f"The token is for channel {place.channel_id} alone.")
    ]
    both = [place.chat(), other.chat()]
    assert statuses(as_server(client, place.platform_token, both)) == ["accepted"] * 2


@pytest.mark.parametrize("authorization", ["Bearer nonsense", "Basic abc", "Bearer ", "x"])
def test_what_is_no_token_is_401(
    client: Client, place: Place, folder_store: Store, authorization: str
) -> None:
    answer = send(client, [place.chat()], headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers
    assert landed(folder_store) == []


def test_a_revoked_token_is_401_once_it_is_asked_for_again(
    client: Client, place: Place, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aethex.service.ingest.senders.TOKEN_SECONDS", 0.0)
    assert statuses(as_server(client, place.token, [place.chat()])) == ["accepted"]
    with library.session() as s:
        for token in tokens.list_all(s):
            tokens.revoke(s, token.id, datetime.now(UTC))
    assert as_server(client, place.token, [place.chat()]).status_code == 401


def test_players_send_what_players_do_and_nothing_in_others_names(
    client: Client, place: Place
) -> None:
    visit = {
        "kind": "engagement",
        "event_id": str(uuid4()),
        "client_at": iso(datetime.now(UTC)),
        "channel_id": place.channel_id,
        "action": "page_visit",
        "page": "channel",
        "ref": "abc-123",
    }
    like = {**visit, "event_id": str(uuid4()), "action": "like", "page": None, "ref": None}
    answer = as_player(
        client,
        [
            place.beat(),
            visit,
            place.chat(viewer_id=None),
            like,
            place.beat(viewer_id="usr_1"),
            place.beat(user_agent="Chrome"),
        ],
    )
    assert statuses(answer) == ["accepted", "accepted", *["rejected"] * 4]
    assert [field for field, _ in refusals(answer)] == [
        *("kind", "action", "viewer_id", "user_agent")
    ]


def test_content_has_to_exist_and_to_be_of_one_channel(
    client: Client, place: Place, library: Library, folder_store: Store
) -> None:
    vod = add_vod(library, folder_store, username="gdq")
    other = add_place(library, "other")
    answer = as_player(
        client,
        [
            place.beat(stream_id=None, vod_id=vod.id),
            place.beat(channel_id=place.channel_id),
            place.beat(stream_id="st_nothing"),
            place.beat(stream_id=None, vod_id="vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA"),
            place.beat(channel_id=other.channel_id),
            place.beat(vod_id=vod.id),
            place.beat(stream_id=None),
            place.beat(stream_id=None, clip_id="clip_1"),
            place.beat(stream_id="st_\0'; drop table vods"),
        ],
    )
    assert statuses(answer) == ["accepted"] * 2 + ["rejected"] * 7
    assert [field for field, _ in refusals(answer)] == [
        *("stream_id", "vod_id", "channel_id", "stream_id", "stream_id", "clip_id", "stream_id")
    ]


def test_content_that_was_made_meanwhile_is_found_after_a_while(
    client: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aethex.service.ingest.directory.MISSING_SECONDS", 0.0)
    other = add_place(library, "other")
    with library.session() as s:
        from aethex.library import Stream

        stream = s.get(Stream, other.stream_id)
        assert stream is not None
        s.delete(stream)
    assert statuses(as_player(client, [other.beat()])) == ["rejected"]
    with library.session() as s:
        s.add(
            Stream(
                id=other.stream_id,
                channel_id=other.channel_id,
                title="Back",
                status="scheduled",
            )
        )
    assert statuses(as_player(client, [other.beat()])) == ["accepted"]


def packed(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(body)
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, encoding) as stream:
        stream.write(body)
    return sink.getvalue().to_pybytes()
