"""Anything at all is sent to `/api/events`: it never fails, and no good event is lost beside bad
ones, down to the tables.
"""

from __future__ import annotations

import json
from typing import Any, Literal, get_args

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aethex.lake import Lake
from aethex.lake.event_tables import EVENT_TABLES
from aethex.lake.publish import publish
from aethex.service.app import create_app
from aethex.service.ingest.events import (
    KINDS,
    MOST_MS,
    PAYLOADS,
    EngagementAction,
    Page,
    PlaybackType,
)
from aethex.settings import Settings
from tests.service.conftest import Client
from tests.service.sending import Event, Place, as_server, send, statuses

relaxed = hypothesis_settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"events_flush_ms": 0})


# --- events that are good, at the edges of what is allowed ----------------------------------------

plain = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=64)
text = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=["\x7f"]), max_size=300
)
counts = st.integers(0, 2**53) | st.none()
spans = st.integers(0, MOST_MS)
measures = st.floats(0, 1e12) | st.none()
words = st.from_regex(r"\A[A-Za-z0-9_.-]{1,64}\Z") | st.none()


def one_of(choices: Any) -> st.SearchStrategy[str]:
    return st.sampled_from(get_args(choices))


playbacks = st.fixed_dictionaries(
    {
        "kind": st.just("playback"),
        "session_id": plain,
        "viewer_id": plain | st.none(),
        "type": one_of(Literal[tuple(set(get_args(PlaybackType)) - {"seek"})]),
        "sequence": st.integers(0, 2**53),
        "elapsed_ms": spans,
        "position_ms": spans,
        "rate": st.floats(0, 100),
        "is_paused": st.booleans(),
        "stalls": counts,
        "stalled_ms": spans | st.none(),
        "frames": counts,
        "dropped_frames": counts,
        "error": text | st.none(),
        "user_agent": text | st.none(),
    }
)
others = st.one_of(
    st.fixed_dictionaries({"kind": st.just("chat"), "characters": counts, "emotes": counts}),
    st.fixed_dictionaries(
        {"kind": st.just("follow"), "viewer_id": plain, "action": st.just("follow")}
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("engagement"),
            "action": one_of(Literal[tuple(set(get_args(EngagementAction)) - {"like", "unlike"})]),
            "network": words,
            "page": one_of(Page) | st.none(),
            "ref": words,
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("health"),
            "bitrate_kbps": measures,
            "packet_loss_ratio": st.floats(0, 1) | st.none(),
            "clock_drift_ms": st.floats(-1e12, 1e12) | st.none(),
            "width": st.integers(1, 100_000) | st.none(),
        }
    ),
)
good_events = playbacks | others

# --- and what is not ------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)  # JSON has neither
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
field_names = st.sampled_from(
    sorted({name for kind in KINDS for name in kind.__struct_fields__} | {"kind", "x"})
)
changes = st.dictionaries(field_names, json_values, min_size=1, max_size=3)


def with_place(place: Place, event: Event) -> Event:
    base = place.chat(viewer_id=None, characters=None)
    return {name: value for name, value in {**base, **event}.items() if value is not None}


def test_good_events_reach_their_tables_whatever_stands_beside_them(
    client: Client, lake: Lake, place: Place
) -> None:
    good: set[tuple[str, str]] = set()

    @hypothesis_settings(relaxed, max_examples=200)
    @given(parts=st.lists(st.tuples(good_events, changes | st.none()), min_size=1, max_size=8))
    def sent(parts: list[tuple[Event, dict[str, Any] | None]]) -> None:
        body: list[Event] = []
        for event, change in parts:
            whole = with_place(place, event)
            body.append(whole if change is None else {**whole, **change})
            if change is None:
                good.add((event["kind"], whole["event_id"]))
        answer = as_server(client, place.token, json.dumps(body).encode("utf-8", "surrogatepass"))
        found = statuses(answer)
        for (_, change), status in zip(parts, found, strict=True):
            assert change is not None or status == "accepted", answer.text

    sent()
    publish(lake)
    there: list[tuple[str, str]] = []
    for kind, table in EVENT_TABLES.items():
        ids = lake.table(table).scan(selected_fields=("event_id",)).to_arrow()
        there += [(kind, event_id) for event_id in ids.column("event_id").to_pylist()]
    assert len(there) == len(set(there))
    assert good
    assert good <= set(there)


@relaxed
@given(
    junk=st.lists(
        st.binary(max_size=60).filter(lambda raw: b"\n" not in raw)
        | json_values.map(lambda value: json.dumps(value).encode()),
        max_size=6,
    )
)
@example(junk=[b"[", b"{", b'"', b"{}", b"null", b"\xff", b"\0", b'{"kind":"\\ud800"}'])
@example(junk=[b'{"kind":' * 3000, b"[" * 3000, b"1e999", b"-" + b"9" * 400])
def test_good_lines_survive_any_junk_between_them(
    client: Client, place: Place, junk: list[bytes]
) -> None:
    good = [json.dumps(place.chat()).encode() for _ in range(len(junk) + 1)]
    lines = [good[0]]
    for number, one in enumerate(junk):
        lines += [one, good[number + 1]]
    answer = as_server(client, place.token, b"\n".join(lines))
    assert statuses(answer).count("accepted") >= len(good)


@relaxed
@given(body=st.binary(max_size=200), encoding=st.sampled_from(["identity", "gzip", "zstd"]))
@example(body=b"[", encoding="identity")
@example(body=b"[[[[[[[[", encoding="identity")
@example(body=b"\xef\xbb\xbf[]", encoding="identity")
def test_random_bytes_are_an_answer(
    client: Client, place: Place, body: bytes, encoding: str
) -> None:
    headers = {"Authorization": f"Bearer {place.token}", "Content-Encoding": encoding}
    assert send(client, body, headers=headers).status_code in (200, 413, 422)


@relaxed
@given(name=st.text(max_size=30), value=st.text(max_size=60))
@example(name="viewer", value="vw_1.")
@example(name="received_at", value="2026-01-01")
def test_any_parameters_are_an_answer(client: Client, place: Place, name: str, value: str) -> None:
    parameters = {name.encode("utf-8", "replace").decode(): value.encode("utf-8", "replace")}
    answer = client.request(
        "POST",
        "/api/events",
        params={**parameters, "sent_at": "1769800000000"},
        json=[place.beat()],
    )
    assert answer.status_code in (200, 403, 422)


# --- what the OpenAPI document says ---------------------------------------------------------------


def _schema() -> Any:
    app = create_app(Settings(_env_file=None))  # pyright: ignore[reportCallIssue]
    return schemathesis.openapi.from_dict(app.openapi())


schema = _schema()


@schema.include(path="/api/events", method="POST").parametrize()
@hypothesis_settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_request_that_the_document_allows_makes_it_fail(case: Any, client: Client) -> None:
    arguments = case.as_transport_kwargs(base_url="http://aethex.test")
    arguments = {k: v for k, v in arguments.items() if k in ("params", "headers", "json", "data")}
    if isinstance(data := arguments.pop("data", None), (str, bytes)):
        arguments["content"] = data
    answer = client.request("POST", "/api/events", **arguments)
    assert answer.status_code < 500, answer.text


def test_the_documents_own_example_is_decoded() -> None:
    operation = schema["/api/events"]["POST"]
    (example_body,) = [
        body.definition["example"] for body in operation.body if "example" in body.definition
    ]
    msgspec.convert(example_body, list[msgspec.UnsetType | dict])
    from aethex.service.ingest.batches import Unreadable, read_batch

    items = read_batch(json.dumps(example_body).encode())
    assert not any(isinstance(item, Unreadable) for item in items)


@pytest.mark.parametrize("kind", KINDS.values())
def test_the_payload_of_a_kind_has_the_columns_of_its_table(kind: str) -> None:
    struct = next(struct for struct, name in KINDS.items() if name == kind)
    from aethex.lake.event_tables import payload_columns

    names = [*PAYLOADS[struct].names, *(["crawler"] if PAYLOADS[struct].has_crawler else [])]
    assert names == [column.name for column in payload_columns(EVENT_TABLES[kind])]
