"""Which VODs go, when, and that nothing is left of them, and nothing of others touched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from sqlalchemy import func, select, update

from aethex.assets.vod_cleanup import vod_cleanup
from aethex.library import (
    InvalidValue,
    Library,
    NewCaptions,
    Vod,
    VodRun,
    VodSegment,
    WatchProgress,
    audit,
    captions,
    recording,
    retention,
    users,
    vods,
    watching,
)
from aethex.library.recording import RecordingWishes
from aethex.settings import Settings
from aethex.store import Store, StoreError, StoreUnreachable, open_store
from aethex.workers.vod_cleanup import clean_up_vods
from tests.commands import Commands
from tests.service.content import MadeVod, add_vod

ENDED = datetime(2026, 1, 5, 16, 0, 8, tzinfo=UTC)
YEAR = timedelta(days=365)


@pytest.fixture
def store(settings: Settings) -> Store:
    return open_store(settings)


def make(library: Library, store: Store, title: str, username: str = "gdq") -> MadeVod:
    started_at = ENDED - timedelta(seconds=8)
    return add_vod(
        library, store, title=title, username=username, started_at=started_at, created_at=ENDED
    )


def delete(library: Library, vod: MadeVod, at: datetime, reason: str = "owner") -> None:
    with library.session() as s:
        vods.mark_deleted(s, vod.id, at, reason)  # pyright: ignore[reportArgumentType]


def is_shown(library: Library, vod: MadeVod) -> bool:
    with library.session() as s:
        return vods.get_listed(s, vod.id) is not None


def keys(store: Store) -> set[str]:
    return {info.key for info in store.list("vods")}


def test_a_year_after_its_stream_a_vod_is_hidden_and_30_days_later_it_is_gone(
    library: Library, store: Store, settings: Settings
):
    vod = make(library, store, "old")
    clean_up_vods(library, store, settings, ENDED + YEAR - timedelta(seconds=1))
    assert is_shown(library, vod)
    done = clean_up_vods(library, store, settings, ENDED + YEAR)
    assert (done.expired, done.purged) == ({vod.id: "old"}, [])
    assert not is_shown(library, vod)
    before = keys(store)
    later = ENDED + YEAR + timedelta(days=30)
    clean_up_vods(library, store, settings, later - timedelta(seconds=1))
    assert keys(store) == before
    [purged] = clean_up_vods(library, store, settings, later).purged
    assert (purged.vod_id, purged.reason, purged.objects) == (vod.id, "expired", len(before))
    assert keys(store) == set()
    with library.session() as s:
        for table in (Vod, VodRun, VodSegment):
            assert s.scalar(select(func.count()).select_from(table)) == 0
    assert clean_up_vods(library, store, settings, later).purged == []
    with library.session() as s:  # what is left of it
        gone, hidden = [(e.action, e.subject_id, e.changes["title"]) for e in audit.latest(s, 9)]
    assert (hidden, gone) == (("vod.expire", vod.id, "old"), ("vod.purge", vod.id, "old"))


def test_only_what_was_deleted_goes(library: Library, store: Store, settings: Settings):
    kept, gone = make(library, store, "kept"), make(library, store, "gone")
    of_kept = {key for key in keys(store) if kept.stream_id in key}
    delete(library, gone, ENDED)
    clean_up_vods(library, store, settings, ENDED + timedelta(days=31))
    assert keys(store) == of_kept
    assert is_shown(library, kept)


def test_two_vods_of_one_stream_do_not_share_their_end(
    library: Library, store: Store, settings: Settings
):
    kept, gone = make(library, store, "one"), make(library, store, "one")
    assert kept.stream_id == gone.stream_id
    delete(library, gone, ENDED)
    clean_up_vods(library, store, settings, ENDED + timedelta(days=31))
    left = keys(store)
    assert left
    assert all(f"/{kept.run_id}/" in key or f"/{kept.id}/" in key for key in left)


def test_the_video_of_an_old_stream_stays_a_year_from_when_it_came(
    library: Library, store: Store, settings: Settings
):
    came_at = ENDED + 3 * YEAR
    vod = add_vod(library, store, started_at=ENDED, created_at=came_at)
    assert clean_up_vods(library, store, settings, came_at + YEAR - timedelta(1)).expired == {}
    with library.session() as s:
        stored = vods.get(s, vod.id)
        assert stored is not None
        assert retention.expires_at(stored, ENDED, 365) == came_at + YEAR
        assert retention.expires_at(stored, ENDED, 0) is None
    assert set(clean_up_vods(library, store, settings, came_at + YEAR).expired) == {vod.id}


def test_a_deleted_vod_can_be_had_back_until_its_objects_go(
    library: Library, store: Store, settings: Settings
):
    vod = make(library, store, "back")
    delete(library, vod, ENDED)
    with library.session() as s:
        vods.restore(s, vod.id, ENDED + timedelta(days=29))
    clean_up_vods(library, store, settings, ENDED + timedelta(days=31))
    assert is_shown(library, vod)
    delete(library, vod, ENDED)
    with library.session() as s:
        s.execute(update(Vod).values(purge_started_at=ENDED))
    with pytest.raises(InvalidValue, match="can no more be restored"), library.session() as s:
        vods.restore(s, vod.id, ENDED)


def test_a_vod_that_is_deleted_anew_while_a_clean_up_runs_can_be_had_back(
    library: Library, store: Store, settings: Settings
):
    vod = make(library, store, "twice")
    delete(library, vod, ENDED)
    now = ENDED + timedelta(days=30)

    def regret_and_delete_again(_title: str, _share: float) -> None:
        with library.session() as s:
            vods.restore(s, vod.id, now)
        delete(library, vod, now)

    done = clean_up_vods(library, store, settings, now, progress=regret_and_delete_again)
    assert done.purged == []
    with library.session() as s:
        assert vods.restore(s, vod.id, now + timedelta(days=29)).deleted_at is None


def test_an_expired_vod_that_was_restored_stays_as_long_again(
    library: Library, store: Store, settings: Settings
):
    vod = make(library, store, "again")
    restored_at = ENDED + YEAR + timedelta(days=3)
    clean_up_vods(library, store, settings, ENDED + YEAR)
    with library.session() as s:
        vods.restore(s, vod.id, restored_at)
    clean_up_vods(library, store, settings, restored_at + YEAR - timedelta(seconds=1))
    assert is_shown(library, vod)
    assert clean_up_vods(library, store, settings, restored_at + YEAR).expired


def test_a_test_recording_goes_after_a_day(library: Library, store: Store, settings: Settings):
    vod = make(library, store, "test")
    delete(library, vod, ENDED, "test")
    assert clean_up_vods(library, store, settings, ENDED + timedelta(hours=23)).purged == []
    assert clean_up_vods(library, store, settings, ENDED + timedelta(days=1)).purged


def test_a_channel_keeps_its_vods_as_long_as_it_says(
    library: Library, store: Store, settings: Settings
):
    for_ever, short = make(library, store, "a", "forever"), make(library, store, "b", "short")
    with library.session() as s:
        for vod, days in ((for_ever, 0), (short, 7)):
            wishes = RecordingWishes(delete_after_days=days)
            recording.set_wishes(s, vod.channel_id, wishes)
    assert set(clean_up_vods(library, store, settings, ENDED + timedelta(days=7)).expired) == {
        short.id
    }
    assert clean_up_vods(library, store, settings, ENDED + 5 * YEAR).expired == {}
    assert is_shown(library, for_ever)


def test_a_dry_run_says_the_same_and_does_nothing(
    library: Library, store: Store, settings: Settings
):
    old, deleted = make(library, store, "old"), make(library, store, "deleted")
    delete(library, deleted, ENDED)
    now, before = ENDED + YEAR, keys(store)
    told = clean_up_vods(library, store, settings, now, is_dry_run=True)
    assert keys(store) == before
    assert is_shown(library, old)
    done = clean_up_vods(library, store, settings, now)
    assert (told.expired, told.purged) == (done.expired, done.purged)


def test_a_clean_up_that_was_cut_off_is_finished_by_the_next(
    library: Library, store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    vod = make(library, store, "cut")
    delete(library, vod, ENDED)
    now = ENDED + timedelta(days=31)
    whole = Store.delete

    def half(self: Store, given: list[str]) -> int:
        whole(self, given[:1])
        raise StoreUnreachable("the store is away")

    monkeypatch.setattr(Store, "delete", half)
    with pytest.raises(StoreUnreachable, match="away"):
        clean_up_vods(library, store, settings, now)
    monkeypatch.undo()
    assert keys(store)
    with library.session() as s, pytest.raises(InvalidValue):
        vods.restore(s, vod.id, now)  # some of it is gone already
    assert clean_up_vods(library, store, settings, ENDED + timedelta(days=2)).purged
    assert keys(store) == set()


def test_a_vod_whose_objects_cannot_be_deleted_keeps_no_other_one_from_going(
    library: Library, store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    first, second = make(library, store, "stuck"), make(library, store, "other")
    for vod, days in ((first, 0), (second, 1)):
        delete(library, vod, ENDED + timedelta(days))
    whole = Store.delete

    def refuse(self: Store, given: list[str]) -> int:
        if any(f"/{first.id}/" in key for key in given):
            raise StoreError("No permission for it")
        return whole(self, given)

    monkeypatch.setattr(Store, "delete", refuse)
    resources = {"library": library, "settings": settings}
    result = dg.materialize([vod_cleanup], resources=resources, raise_on_error=False)
    assert not result.success
    with library.session() as s:
        assert vods.get(s, second.id) is None
        assert vods.get(s, first.id) is not None
    aethex = Commands(settings.data_dir, settings.database_url)
    told = aethex("vods", "clean-up")
    assert told.code == 1
    assert f"{first.id} could not be deleted: No permission for it" in told.stderr
    monkeypatch.undo()
    assert clean_up_vods(library, store, settings, ENDED + YEAR).purged
    assert keys(store) == set()


def test_the_asset_and_the_command_say_what_they_did(
    library: Library, store: Store, settings: Settings
):
    vod = make(library, store, "old [film]")
    delete(library, vod, ENDED)
    resources = {"library": library, "settings": settings}
    result = dg.materialize(
        [vod_cleanup],
        resources=resources,
        run_config={"ops": {"vod_cleanup": {"config": {"is_dry_run": True}}}},
    )
    [made] = result.asset_materializations_for_node("vod_cleanup")
    assert made.metadata["objects deleted"].value == 6
    aethex = Commands(settings.data_dir, settings.database_url)
    dry = aethex("vods", "clean-up", "--dry-run")
    assert (dry.code, "1 VODs with 6 objects" in dry.stdout) == (0, True)
    assert "old [film]" in dry.stdout
    assert "are deleted" in aethex("vods", "clean-up").stdout
    assert keys(store) == set()


def test_what_people_took_out_of_their_histories_goes_for_good(
    library: Library, store: Store, settings: Settings
):
    vod = make(library, store, "watched")
    later = ENDED + watching.UNDO_FOR + timedelta(seconds=1)
    with library.session() as s:
        user, row = users.ensure_user(s, "mika"), vods.get(s, vod.id)
        assert row is not None
        watching.save(s, user.id, row, 5_000, ENDED, ENDED)
        watching.remove(s, user.id, vod.id, ENDED)
    for now, is_dry_run, left in ((ENDED, False, 1), (later, True, 1), (later, False, 0)):
        clean_up_vods(library, store, settings, now, is_dry_run=is_dry_run)
        with library.session() as s:
            assert s.scalar(select(func.count()).select_from(WatchProgress)) == left


def test_captions_go_with_their_vod(library: Library, store: Store, settings: Settings):
    vod = make(library, store, "said")
    key = f"{vod.prefix}{vod.id}/captions-en.vtt"
    store.put(key, b"WEBVTT\n")
    with library.session() as s:
        captions.put(s, vod.id, NewCaptions("en", "English", "captions", "owner", key, 7, 1))
    delete(library, vod, ENDED, "test")
    [purged] = clean_up_vods(library, store, settings, ENDED + timedelta(days=2)).purged
    assert (purged.objects, keys(store)) == (7, set())
    with library.session() as s:
        assert captions.of_vod(s, vod.id) == []
