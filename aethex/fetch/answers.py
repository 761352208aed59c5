"""What an answer says before its body comes, and whether it is taken.

What belongs here: status, headers, redirects, limits of size. What does not: connections
(`client`), files (`parts`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin

from aethex.fetch.addresses import parsed_url
from aethex.fetch.errors import FetchFailed, FetchRefused, FetchTooLarge, shown

REDIRECTS = (301, 302, 303, 307, 308)
_KEPT_BY_REDIRECTS = ("range", "if-range", "accept")


@dataclass(frozen=True)
class Answer:
    """An answer whose body comes. Names of headers are lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def content_length(self) -> int | None:
        text = self.headers.get("content-length", "")
        return int(text) if text.isdecimal() and len(text) < 19 else None


def redirected(answer: Answer, headers: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    """Where a redirect leads, and what is sent there: nothing secret, when that is another host."""
    location = answer.headers.get("location", "")
    if not location:
        raise FetchFailed(f"{shown(answer.url)}: a redirect to nowhere.", status=answer.status)
    try:
        url = urljoin(answer.url, location)
    except ValueError:
        raise FetchRefused(f"{shown(answer.url)}: a redirect to what is no address.") from None
    before, after = parsed_url(answer.url), parsed_url(url)
    if before.scheme == "https" and after.scheme != "https":
        raise FetchRefused(f"{shown(answer.url)}: a redirect from https to {after.scheme}.")
    if before.netloc != after.netloc:
        headers = {k: v for k, v in headers.items() if k.lower() in _KEPT_BY_REDIRECTS}
    return url, headers


def check_answer(answer: Answer) -> None:
    """Raises FetchFailed unless it is a good one, in plain bytes."""
    if not 200 <= answer.status < 300:
        raise FetchFailed(
            f"{shown(answer.url)} answered {answer.status}.",
            status=answer.status,
            can_retry=answer.status in (408, 416, 425, 429) or answer.status >= 500,
        )
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise FetchFailed(
            f"{shown(answer.url)} answered in {encoding[:20]!r}, which was not asked for.",
            can_retry=False,
        )


def check_type(answer: Answer, taken: Sequence[str] | None) -> None:
    """Raises FetchFailed for another kind than those that are taken; None takes all."""
    kind = answer.content_type
    if taken is None or any(kind == t or (t.endswith("/") and kind.startswith(t)) for t in taken):
        return
    raise FetchFailed(
        f"{shown(answer.url)} answered {kind[:60] or 'no type'!r}, not {' or '.join(taken)}.",
        can_retry=False,
    )


def limited(answer: Answer, max_bytes: int, had: int = 0) -> Iterator[bytes]:
    """The body's chunks, as long as they are not too many. Raises FetchTooLarge."""
    said = answer.content_length
    if said is not None and had + said > max_bytes:
        raise FetchTooLarge(
            f"{shown(answer.url)} has {had + said} bytes: more than {max_bytes} are not taken."
        )
    done = had
    for chunk in answer.chunks:
        done += len(chunk)
        if done > max_bytes:
            raise FetchTooLarge(f"{shown(answer.url)}: more than {max_bytes} bytes are not taken.")
        yield chunk
