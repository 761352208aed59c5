"""Inputs and recording of one's channels on `/settings`, without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from aethex.library import ChannelInput, Library, audit, inputs, live, recording
from aethex.library.recording import RecordingWishes
from aethex.service.app import create_app
from aethex.service.channel_inputs import MOST_OF_A_CHANNEL, publish_address, srt_port
from aethex.settings import Settings
from aethex.store import Store
from tests.provider_apis import ACCOUNT, CLOUDFLARE_KEY, TOKEN, ProviderApis, provider_apis
from tests.service.captured import go_live
from tests.service.conftest import Client, serving
from tests.service.content import add_vod
from tests.service.people import Person, give_channel, person

NOW = datetime(2026, 5, 3, 18, 0, tzinfo=UTC)
PUBLIC = "rtmp://1.1.1.1/live/her-place"


@pytest.fixture
def ada(library: Library, settings: Settings) -> Person:
    """Who owns the channel `adas`."""
    ada = person(library, settings, "ada")
    give_channel(library, "adas", ada)
    return ada


def channel_id(library: Library, ada: Person) -> str:
    return give_channel(library, "adas", ada)


def add(client: Client, library: Library, ada: Person, provider: str, **fields: str):
    of = channel_id(library, ada)
    return ada.post(client, "/settings/inputs", channel_id=of, provider=provider, **fields)


def save(client: Client, library: Library, ada: Person, **fields: str) -> httpx.Response:
    return ada.post(client, "/settings/recording", channel_id=channel_id(library, ada), **fields)


def all_inputs(library: Library) -> list[ChannelInput]:
    with library.session() as s:
        return [*inputs.list_inputs(s)]


def actions(library: Library) -> list[tuple[str, dict[str, Any]]]:
    with library.session() as s:
        return [(entry.action, entry.changes) for entry in reversed(audit.latest(s, 100))]


def key_in(page: httpx.Response) -> str:
    (key,) = re.findall(r'aria-labelledby="given-key">([^<]+)<', page.text)
    return key


def test_a_stream_key_is_shown_once(client: Client, library: Library, ada: Person) -> None:
    shown = add(client, library, ada, "rtmp", name="Studio")
    assert shown.status_code == 200
    assert shown.headers["cache-control"] == "no-store"
    assert "rtmp://localhost:1935/live" in shown.text
    key = key_in(shown)
    [added] = all_inputs(library)
    assert (added.name, inputs.is_key_of(added, key)) == ("Studio", True)
    page = ada.get(client, "/settings").text
    assert "Studio" in page
    assert "Never live yet" in page
    assert key not in page
    [(action, changes)] = actions(library)
    assert (action, changes["provider"]) == ("input.add", "rtmp")
    assert key not in str(changes)


def test_a_new_key_takes_the_place_of_the_old_one(
    client: Client, library: Library, ada: Person
) -> None:
    old = key_in(add(client, library, ada, "srs", external_id="live/ada"))
    [added] = all_inputs(library)
    shown = ada.post(client, f"/settings/inputs/{added.id}/new-key")
    assert "rtmp://&lt;your SRS&gt;/live/ada?key=KEY" in shown.text
    [now] = all_inputs(library)
    assert inputs.is_key_of(now, key_in(shown))
    assert not inputs.is_key_of(now, old)
    assert [action for action, _ in actions(library)] == ["input.add", "input.new_key"]


def test_a_key_of_a_provider_is_changed_there(
    client: Client, library: Library, ada: Person
) -> None:
    add(client, library, ada, "mux", external_id="live1")
    [added] = all_inputs(library)
    refused = ada.post(client, f"/settings/inputs/{added.id}/new-key")
    assert (refused.status_code, "change it there" in refused.text) == (422, True)
    assert "New key" not in ada.get(client, "/settings").text


def test_a_removed_input_leaves_its_streams_and_a_live_one_stays(
    client: Client, library: Library, ada: Person
) -> None:
    stream = go_live(library, "adas", NOW, "Evening")
    page = ada.get(client, "/settings").text
    assert "Live since 3 May 2026, 18:00 UTC" in page
    refused = ada.post(client, f"/settings/inputs/{stream.input_id}/remove")
    assert (refused.status_code, "end it first" in refused.text) == (422, True)
    with library.session() as s:
        assert stream.input_id is not None
        live.signal(s, stream.input_id, "ended", NOW + timedelta(hours=1), "x", NOW)
    assert "Last live 3 May 2026, 18:00 UTC" in ada.get(client, "/settings").text
    gone = ada.post(client, f"/settings/inputs/{stream.input_id}/remove")
    assert gone.headers["location"] == "/settings?saved=inputs&channel=adas#inputs"
    assert all_inputs(library) == []
    with library.session() as s:
        assert s.get_one(type(stream), stream.id).title == "Evening"
    assert actions(library)[-1][0] == "input.remove"


REFUSED_INPUTS = [
    ("vimeo", {}, "is no provider of inputs"),
    ("srs", {}, "needs the id that srs knows it by"),
    ("cloudflare", {}, "needs the id that cloudflare knows it by"),
    ("pull", {}, "needs an address"),
    ("pull", {"pull_url": "file:///etc/passwd"}, "cannot be pulled"),
    ("pull", {"pull_url": "http://169.254.169.254/x"}, "which is no public address"),
    ("pull", {"pull_url": "http://xn--/x"}, "this is no address"),
    ("pull", {"pull_url": "rtmp://127.0.0.1/x"}, "which is no public address"),
    ("pull", {"pull_url": "http://no.such.host.invalid/x"}, "cannot be resolved"),
    ("mediamtx", {"external_id": "a", "pull_url": "rtmp://u:p@1.1.1.1/"}, "a user or password"),
    ("rtmp", {"name": "x" * 301}, "shorten it to 300"),
]


def test_what_cannot_be_is_said_beside_its_field_and_adds_nothing(
    client: Client, library: Library, ada: Person
) -> None:
    for provider, fields, said in REFUSED_INPUTS:
        refused = add(client, library, ada, provider, **fields)
        assert (refused.status_code, said in refused.text) == (422, True), said
        if provider != "vimeo":  # which no form of ours sends
            assert " open>" in refused.text
            assert 'aria-invalid="true"' in refused.text
    assert all_inputs(library) == []
    assert actions(library) == []


def test_addresses_that_hold_a_key_are_not_in_the_log(
    client: Client, library: Library, ada: Person
) -> None:
    assert add(client, library, ada, "pull", pull_url=PUBLIC).status_code == 303
    [added] = all_inputs(library)
    assert added.pull_url == PUBLIC
    [(_, changes)] = actions(library)
    assert changes["pull_host"] == "1.1.1.1"
    assert "her-place" not in str(changes)


def test_a_server_of_ones_own_is_told_what_to_configure_but_no_token(
    client: Client, library: Library, ada: Person, settings: Settings
) -> None:
    for provider in ("mediamtx", "srs", "nginx_rtmp", "owncast"):
        shown = add(client, library, ada, provider, external_id="live/ada").text
        assert f"/webhooks/{provider}" in shown
        assert "token=TOKEN" in shown
        assert "It is not set yet" in shown
    update = {"srs_webhook_token": SecretStr("hush, a token")}
    with serving(create_app(settings.model_copy(update=update))) as set_up:
        page = ada.get(set_up, "/settings").text
        assert "hush" not in page
        assert page.count("It is not set yet") == 3


def test_a_channel_has_so_many_inputs(client: Client, library: Library, ada: Person) -> None:
    of = channel_id(library, ada)
    with library.session() as s:
        for n in range(MOST_OF_A_CHANNEL):
            inputs.add_input(s, of, "mux", f"live{n}")
    refused = add(client, library, ada, "rtmp")
    assert (refused.status_code, "remove one first" in refused.text) == (422, True)


@pytest.fixture
def apis(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProviderApis]:
    with provider_apis() as server:
        monkeypatch.setattr("aethex.providers.cloudflare_stream.API_URL", server.url)
        yield server


def test_an_input_is_made_at_cloudflare_where_the_platform_has_its_token(
    library: Library, ada: Person, settings: Settings, apis: ProviderApis
) -> None:
    update = {"cloudflare_account_id": ACCOUNT, "cloudflare_api_token": SecretStr(TOKEN)}
    with serving(create_app(settings.model_copy(update=update))) as client:
        shown = add(client, library, ada, "cloudflare", name="Studio")
        assert key_in(shown) == CLOUDFLARE_KEY
        assert "rtmps://live.cloudflare.com:443/live/" in shown.text
        apis.is_broken = True
        refused = add(client, library, ada, "cloudflare")
        assert (refused.status_code, "names no input" in refused.text) == (422, True)
    [(_, body)] = apis.asked
    assert body == {"meta": {"name": "Studio"}, "recording": {"mode": "automatic"}}
    [added] = all_inputs(library)
    assert added.is_recorded_by_provider


def test_where_encoders_publish_to_follows_the_recorders_settings(settings: Settings) -> None:
    rtmp = ChannelInput(id="inp_1", provider="rtmp", external_id="inp_1")
    key = "a-key-of-ten-letters"
    srt = ChannelInput(id="i", provider="srt", external_id="i", key_digest=inputs.key_digest(key))

    def told(row: ChannelInput, **changes: Any) -> str | None:
        return publish_address(settings.model_copy(update=changes), row)

    assert told(rtmp) == "rtmp://localhost:1935/live"
    assert told(rtmp, host="0.0.0.0", rtmp_port=1940) == "rtmp://localhost:1940/live"
    assert told(rtmp, host="192.0.2.7") == "rtmp://192.0.2.7:1935/live"
    assert told(rtmp, host="2001:db8::7") == "rtmp://[2001:db8::7]:1935/live"
    public = {"host": "192.0.2.7", "public_url": "https://live.example"}
    assert told(rtmp, **public) == "rtmp://live.example:1935/live"
    assert told(srt) == "srt://localhost:PORT?mode=caller&passphrase=KEY"
    ports = SecretStr(f"9001=another-key-it-is,9002={key}")
    assert told(srt, srt_inputs=ports) == "srt://localhost:9002?mode=caller&passphrase=KEY"
    wrong = settings.model_copy(update={"srt_inputs": SecretStr("nonsense")})
    assert srt_port(wrong, srt) is None


def test_an_admin_sees_the_channel_that_the_address_names_and_others_do_not(
    client: Client, library: Library, settings: Settings, ada: Person
) -> None:
    add(client, library, ada, "srs", external_id="live/ada")
    root = person(library, settings, "root", role="admin")
    assert "live/ada" in root.get(client, "/settings?channel=adas").text
    assert "live/ada" not in root.get(client, "/settings").text
    eve = person(library, settings, "eve")
    assert "live/ada" not in eve.get(client, "/settings?channel=adas").text


def test_of_several_channels_the_chosen_one_is_shown(
    client: Client, library: Library, ada: Person
) -> None:
    for username in ("adas", "second"):
        ada.post(
            client,
            "/settings/inputs",
            channel_id=give_channel(library, username, ada),
            provider="srs",
            external_id=f"live/{username}",
        )
    first, second = (ada.get(client, f"/settings{of}").text for of in ("", "?channel=second"))
    assert "live/adas" in first
    assert "live/second" not in first
    assert "live/second" in second
    assert "live/adas" not in second
    assert 'href="/settings?channel=second#recording"' in first


def test_wishes_of_recording_are_kept_and_noted(
    client: Client, library: Library, ada: Person, settings: Settings
) -> None:
    page = ada.get(client, "/settings").text
    for shown in ("As the platform: yes", "As the platform: after 365 days", "HLS and MP4"):
        assert shown in page
    of = channel_id(library, ada)
    assert f"vods/{of}/&lt;stream&gt;/" in page
    wished = {"enabled": "no", "min_seconds": "90", "keep": "days", "days": "30", "formats": "hls"}
    assert save(client, library, ada, **wished).status_code == 303
    with library.session() as s:
        policy = recording.policy_of(s, of, settings)
    assert (policy.is_enabled, policy.min_duration_seconds) == (False, 90)
    assert (policy.delete_after_days, policy.formats) == (30, ("hls",))
    assert actions(library) == [
        (
            "recording.change",
            {
                "is_enabled": [None, False],
                "min_duration_seconds": [None, 90],
                "delete_after_days": [None, 30],
                "formats": [None, ["hls"]],
            },
        )
    ]
    assert 'value="30"' in ada.get(client, "/settings").text
    save(client, library, ada, **wished)  # the same again changes nothing
    assert len(actions(library)) == 1
    save(client, library, ada, keep="never")
    with library.session() as s:
        assert recording.wishes_of(s, of) == RecordingWishes(delete_after_days=0)


REFUSED_WISHES = [
    ({"min_seconds": "a minute"}, "is no number"),
    ({"min_seconds": "-1"}, "is no number"),
    ({"min_seconds": "90000"}, "give 0 to 86,400"),
    ({"keep": "days", "days": ""}, "is no number"),
    ({"keep": "days", "days": "0"}, "or choose Never"),
    ({"keep": "days", "days": "40000"}, "give 0 to 36,500"),
    ({"keep": "long"}, "Choose one of the three"),
    ({"formats": "avi"}, "Choose one of the list"),
]


def test_wishes_that_cannot_be_are_refused(client: Client, library: Library, ada: Person) -> None:
    for fields, said in REFUSED_WISHES:
        refused = save(client, library, ada, **fields)
        assert (refused.status_code, said in refused.text) == (422, True), said
    assert actions(library) == []


def test_only_admins_decide_whether_owners_may_delete(
    client: Client, library: Library, settings: Settings, ada: Person
) -> None:
    root, of = person(library, settings, "root", role="admin"), channel_id(library, ada)
    assert "user_delete" not in ada.get(client, "/settings").text
    assert "user_delete" in root.get(client, "/settings?channel=adas").text
    root.post(client, "/settings/recording", channel_id=of, user_delete="no")
    save(client, library, ada, user_delete="yes", enabled="no")  # as if the form had it
    with library.session() as s:
        policy = recording.policy_of(s, of, settings)
    assert (policy.is_user_delete_allowed, policy.is_enabled) == (False, False)
    assert "You may not" in ada.get(client, "/settings").text


def test_an_owner_who_may_not_delete_cannot_let_vods_go_sooner_than_the_platform(
    client: Client, library: Library, settings: Settings, ada: Person
) -> None:
    root, of = person(library, settings, "root", role="admin"), channel_id(library, ada)
    no = {"user_delete": "no"}

    def days() -> int:
        with library.session() as s:
            return recording.policy_of(s, of, settings).delete_after_days

    root.post(client, "/settings/recording", channel_id=of, **no)
    for too_short in ("1", "364"):
        answer = save(client, library, ada, keep="days", days=too_short)
        assert (answer.status_code, "give 365 days or more" in answer.text) == (422, True)
    assert days() == 365
    for keep, wished, then in (("days", "365", 365), ("never", "", 0), ("days", "400", 400)):
        assert save(client, library, ada, keep=keep, days=wished).status_code == 303
        assert days() == then
    root.post(client, "/settings/recording", channel_id=of, keep="days", days="30", **no)
    assert save(client, library, ada, keep="days", days="29").status_code == 422
    assert save(client, library, ada, keep="days", days="30", formats="hls").status_code == 303
    assert save(client, library, ada, keep="days", days="60").status_code == 303
    assert days() == 60


def test_vods_that_a_shorter_time_takes_are_counted_before_they_go(
    client: Client, library: Library, ada: Person, folder_store: Store
) -> None:
    old = datetime.now(UTC) - timedelta(days=40)
    for n in range(2):
        add_vod(library, folder_store, username="adas", title=f"{n}", created_at=old)
    assert "next clean-up" not in ada.get(client, "/settings").text
    save(client, library, ada, keep="days", days="30")
    assert "2 VODs are older than that" in ada.get(client, "/settings").text
