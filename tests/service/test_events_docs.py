"""docs/events.md: its examples are taken, and it tells every status that there is."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import get_args

import msgspec
import pytest

from aethex.library import Library
from aethex.service.app import create_app
from aethex.service.ingest.events import KINDS, Common, EngagementAction, Page, PlaybackType
from aethex.settings import PROJECT_DIR, Settings
from aethex.store import Store
from tests.service.conftest import Client
from tests.service.content import add_vod
from tests.service.sending import Event, add_place, as_server, iso, statuses

EVENTS = (PROJECT_DIR / "docs" / "events.md").read_text()
API = (PROJECT_DIR / "docs" / "api.md").read_text()


def examples() -> list[Event]:
    """The events of both pages: lines of their own, and the body of a curl call."""
    lines = re.findall(r'^    (\{"kind".*\})$', EVENTS, re.MULTILINE)
    bodies = re.findall(r"-d '(\[.*?\])'", API, re.DOTALL)
    return [*map(json.loads, lines), *(event for body in bodies for event in json.loads(body))]


@pytest.mark.parametrize("example", examples(), ids=lambda event: event["kind"])
def test_every_example_is_accepted(
    client: Client, library: Library, folder_store: Store, example: Event
) -> None:
    made = add_vod(library, folder_store)
    of_the_test = {
        "channel_id": made.channel_id,
        "stream_id": made.stream_id,
        "vod_id": made.id,
        "client_at": iso(datetime.now(UTC)),
    }
    event = {name: of_the_test.get(name, value) for name, value in example.items()}
    token = add_place(library).platform_token
    assert statuses(as_server(client, token, [event])) == ["accepted"]


def test_the_examples_are_of_all_kinds_but_a_players() -> None:
    assert {event["kind"] for event in examples()} == {"chat", "follow", "engagement", "health"}


def test_every_field_of_every_kind_is_told() -> None:
    rows = re.findall(
        r"^\| (?:`(\w+)`|all) \| (.*) \|$", EVENTS.split("### Fields")[1], re.MULTILINE
    )
    told = {kind or "all": set(re.findall(r"`(\w+)`", fields)) for kind, fields in rows}
    needed = {kind: set(re.findall(r"`(\w+)`", fields.split(" | ")[0])) for kind, fields in rows}
    common = set(Common.__struct_fields__)
    assert told["all"] == {"kind", *common}
    for kind, name in KINDS.items():
        assert set(kind.__struct_fields__) - common <= told[name], name
        required = {field.encode_name for field in msgspec.structs.fields(kind) if field.required}
        assert required - common <= needed[name], name
    for words in (PlaybackType, EngagementAction, Page):
        assert all(f"`{word}`" in EVENTS for word in get_args(words))


def test_every_status_of_a_refusal_is_told() -> None:
    document = create_app(Settings(_env_file=None)).openapi()  # pyright: ignore[reportCallIssue]
    answers = document["paths"]["/api/events"]["post"]["responses"]
    told = set(re.findall(r"^\| (\d{3}) \|", EVENTS, re.MULTILINE))
    assert told == {status for status in answers if status >= "400"}
