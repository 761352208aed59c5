"""Captions of a VOD as its page shows them.

What belongs here: which rows that needs, and their wording. What does not: forms (`captions.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from aethex.library import Vod, VodCaptions, captions
from aethex.library.models import CaptionsSource
from aethex.media.languages import language_name
from aethex.service.addresses import media_path
from aethex.service.media_tokens import MediaTokens
from aethex.service.pages.wording import count_text, date_text

_SOURCES: dict[CaptionsSource, str] = {
    "file": "From the imported file",
    "provider": "From the provider's recording",
    "owner": "Uploaded",
}


@dataclass(frozen=True, slots=True)
class CaptionsView:
    """Captions in one language. `facts_text` says more to the owner."""

    language: str
    label: str
    kind: str
    path: str
    facts_text: str


def captions_views(
    session: Session, vod: Vod, tokens: MediaTokens, reader_id: str | None
) -> Sequence[CaptionsView]:
    """Those of a VOD that the user `reader_id` (None: everybody) may read."""
    if vod.deleted_at is not None:
        return []
    return [
        CaptionsView(
            language=one.language,
            label=one.label,
            kind=one.kind,
            path=path,
            facts_text=_facts(one),
        )
        for one in captions.of_vod(session, vod.id)
        if (path := media_path(tokens, vod, one.key, reader_id)) is not None
    ]


def _facts(captions: VodCaptions) -> str:
    name = language_name(captions.language)
    facts = [count_text(captions.cues, "cue", "cues")]
    facts.append(f"{_SOURCES[captions.source]}, {date_text(captions.created_at)}")
    return " · ".join(facts if captions.label == name else [name, *facts])
