"""A channel's wishes about recordings, over the platform's."""

from __future__ import annotations

import pytest

from aethex.library import Channel, InvalidValue, Library, recording
from aethex.library.recording import RecordingWishes
from aethex.settings import Settings


def test_a_channel_without_wishes_has_the_platforms(
    library: Library, channel: Channel, settings: Settings
):
    with library.session() as s:
        policy = recording.policy_of(s, channel.id, settings)
    assert policy == recording.RecordingPolicy(True, 60, 365, True, ("hls", "mp4"))


def test_what_a_channel_wishes_wins_and_the_rest_follows_the_platform(
    library: Library, channel: Channel, settings: Settings
):
    wishes = RecordingWishes(is_enabled=False, delete_after_days=0, formats=("hls",))
    changed = settings.model_copy(update={"recording_min_seconds": 10})
    with library.session() as s:
        recording.set_wishes(s, channel.id, wishes)
        policy = recording.policy_of(s, channel.id, changed)
    assert policy == recording.RecordingPolicy(False, 10, 0, True, ("hls",))
    with library.session() as s:
        recording.set_wishes(s, channel.id, RecordingWishes())
        assert recording.policy_of(s, channel.id, settings).is_enabled


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        (RecordingWishes(delete_after_days=-1), "number of days is -1"),
        (RecordingWishes(min_duration_seconds=86_401), "minimum duration in seconds is 86401"),
        (RecordingWishes(formats=("flv",)), "'flv' is no format"),
    ],
)
def test_wishes_that_cannot_be_are_refused(
    library: Library, channel: Channel, wishes: RecordingWishes, words: str
):
    with pytest.raises(InvalidValue, match=words), library.session() as s:
        recording.set_wishes(s, channel.id, wishes)


def test_every_vod_can_be_watched_so_hls_is_always_kept(
    library: Library, channel: Channel, settings: Settings
):
    with library.session() as s:
        recording.set_wishes(s, channel.id, RecordingWishes(formats=("mp4",)))
        assert recording.policy_of(s, channel.id, settings).formats == ("hls", "mp4")


def test_where_vods_stay_for_ever_an_owner_who_may_not_delete_leaves_them(
    library: Library, channel: Channel, settings: Settings
):
    for_ever = settings.model_copy(
        update={"recording_delete_after_days": 0, "recording_user_delete": False}
    )
    with library.session() as s:
        for days in (None, 0):
            wishes = RecordingWishes(delete_after_days=days)
            recording.check_owners_wishes(s, channel.id, wishes, for_ever)
        wishes = RecordingWishes(delete_after_days=36_500)
        with pytest.raises(InvalidValue, match="leave them for ever"):
            recording.check_owners_wishes(s, channel.id, wishes, for_ever)
