"""Captions as text: WebVTT and SubRip come in from anywhere, clean WebVTT goes out.

What belongs here: reading both strictly, and writing the one. What does not: where captions come
from (`captions.py`, uploads) and their languages (`languages.py`).

Nothing of a file passes as it was: times, settings and text are read and written anew. Tags are
those of the standard (https://www.w3.org/TR/webvtt1/), others are taken out and their text stays;
STYLE and REGION blocks are left out, so captions can load nothing and style nothing but their own
cues. Errors name the line and the remedy.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aethex.media.errors import BadCaptions
from aethex.media.languages import canonical_language

MAX_BYTES = 2 * 1024**2
MAX_CUES = 20_000
MAX_CUE_CHARACTERS = 2_000
MPEG_TICKS = 90_000
"""Of the clock of MPEG-TS in a second."""

_MOST_NESTED_TAGS = 16
_VTT_TIME = r"(?:(\d{2,4}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
_VTT_TIMING = re.compile(rf"[ \t]*{_VTT_TIME}[ \t]*-->[ \t]*{_VTT_TIME}(?:[ \t]+(.*))?")
_SRT_TIME = r"(\d{1,4}):([0-5]?\d):([0-5]?\d)[,.](\d{1,3})"
_SRT_TIMING = re.compile(rf"[ \t]*{_SRT_TIME}[ \t]*-->[ \t]*{_SRT_TIME}(?:[ \t]+(.*))?")
_VTT_EXAMPLE = "00:00:01.000 --> 00:00:02.500"
_SRT_EXAMPLE = "00:00:01,000 --> 00:00:02,500"
_MAP = re.compile(r"X-TIMESTAMP-MAP[=:](.*)")
_PERCENT = r"(?:100(?:\.0{1,4})?|\d{1,2}(?:\.\d{1,4})?)%"
_SETTINGS = {
    "vertical": re.compile(r"rl|lr"),
    "line": re.compile(rf"(?:-?\d{{1,4}}|{_PERCENT})(?:,(?:start|center|end))?"),
    "position": re.compile(rf"{_PERCENT}(?:,(?:line-left|center|line-right))?"),
    "size": re.compile(_PERCENT),
    "align": re.compile(r"start|center|end|left|right"),
}
_TAG = re.compile(r"(<[^<>]*>)")
_OPENING = re.compile(
    r"<(c|i|b|u|ruby|rt|v|lang)((?:\.[A-Za-z0-9_-]+){0,8})(?:[ \t\n]+([^<>]*))?>", re.DOTALL
)
_CLOSING = re.compile(r"</(c|i|b|u|ruby|rt|v|lang)[ \t\n]*>")
_INNER_TIME = re.compile(rf"<{_VTT_TIME}>")
_LIKE_A_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<(?:\d+:)?\d\d:\d\d\.\d{3}>|</>|<>", re.DOTALL)
_SSA_OVERRIDE = re.compile(r"\{\\[^{}]*\}")
# Control characters, and what some readers take for the end of a line.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ANY_BREAK = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown from `start_ms` until `end_ms`: `text` with the standard's tags and escapes,
    `settings` where on the picture.
    """

    start_ms: int
    end_ms: int
    text: str
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TimestampMap:
    """What HLS says of a piece of WebVTT: its `local_ms` is the moment `mpeg_ticks` (1/90000 s)."""

    mpeg_ticks: int
    local_ms: int


@dataclass(frozen=True, slots=True)
class Captions:
    """A file that was read: cues by start, and in words what was left out of it."""

    cues: tuple[Cue, ...]
    left_out: tuple[str, ...] = ()
    timestamp_map: TimestampMap | None = None


def parse_captions(data: bytes) -> Captions:
    """Read WebVTT or SubRip (SRT), whichever it is.

    Raises BadCaptions, whose message names the line where there is one, and the remedy.
    """
    lines = _lines(data)
    is_vtt = re.match(r"WEBVTT(?:[ \t]|$)", lines[0]) is not None
    found = _read_vtt(lines) if is_vtt else _read_srt(lines)
    if not found.cues:
        raise BadCaptions("There is no cue with text in it: export the captions again.")
    return found


def parse_webvtt_part(data: bytes) -> Captions:
    """Read a piece of WebVTT out of an HLS playlist; it may hold no cue. Raises BadCaptions."""
    lines = _lines(data)
    if not re.match(r"WEBVTT(?:[ \t]|$)", lines[0]):
        raise BadCaptions("Line 1: this is no WebVTT (its first line is not WEBVTT).")
    return _read_vtt(lines)


def write_webvtt(cues: Sequence[Cue]) -> bytes:
    """The cues as WebVTT, by start. Reading it gives the same cues."""
    blocks = ["WEBVTT\n"]
    for cue in sorted(cues, key=lambda cue: (cue.start_ms, cue.end_ms)):
        timing = f"{time_text(cue.start_ms)} --> {time_text(cue.end_ms)}"
        blocks.append(f"{' '.join((timing, *cue.settings))}\n{cue.text}\n")
    return "\n".join(blocks).encode()


def placed(cues: Sequence[Cue], *, offset_ms: int, duration_ms: int) -> list[Cue]:
    """The cues moved by `offset_ms`; what is then outside of 0 to `duration_ms` is cut off."""
    moved = (_moved(cue, offset_ms, duration_ms) for cue in cues)
    return [cue for cue in moved if cue.start_ms < cue.end_ms]


def time_text(ms: int) -> str:
    """`01:02:03.456`."""
    seconds, rest = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"


def _moved(cue: Cue, offset_ms: int, duration_ms: int) -> Cue:
    start, end = max(0, cue.start_ms + offset_ms), min(duration_ms, cue.end_ms + offset_ms)

    def time_tag(found: re.Match[str]) -> str:
        at = _ms(*found.groups()) + offset_ms
        return f"<{time_text(at)}>" if start <= at <= end else ""

    return Cue(start, end, _INNER_TIME.sub(time_tag, cue.text), cue.settings)


def _lines(data: bytes) -> list[str]:
    if len(data) > MAX_BYTES:
        raise BadCaptions(
            f"The captions have {len(data):,} bytes, {MAX_BYTES:,} is the most: "
            "is this a caption file?"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadCaptions(
            f"Line {line}: this is not UTF-8. Save the file with the encoding UTF-8."
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _blocks(lines: Sequence[str], at: int) -> Iterator[tuple[int, Sequence[str]]]:
    """Lines between empty ones, each with the number (from 0) of its first line."""
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        end = at
        while end < len(lines) and lines[end].strip():
            end += 1
        yield at, lines[at:end]
        at = end


class _Collected:
    """Cues as they are read, and what is left out of them."""

    def __init__(self) -> None:
        self.cues: list[Cue] = []
        self.blocks_left_out = 0
        self.cues_without_length = 0

    def add(self, line: int, times: tuple[int, int], settings: str, text: str) -> None:
        start, end = times
        if end < start:
            raise BadCaptions(
                f"Line {line}: the cue ends at {time_text(end)}, before it begins at "
                f"{time_text(start)}. Correct its times."
            )
        if len(text) > MAX_CUE_CHARACTERS:
            raise BadCaptions(
                f"Line {line}: the cue has {len(text):,} characters, {MAX_CUE_CHARACTERS:,} is "
                "the most. Split it, or look whether an empty line is missing after it."
            )
        if start == end:
            self.cues_without_length += 1
        elif cleaned := clean_text(text, start, end):
            self.cues.append(Cue(start, end, cleaned, clean_settings(settings)))
        if len(self.cues) > MAX_CUES:
            raise BadCaptions(f"Line {line}: there are more than {MAX_CUES:,} cues, the most.")

    def captions(self, timestamp_map: TimestampMap | None = None) -> Captions:
        left_out: list[str] = []
        if self.blocks_left_out:
            left_out.append(_count(self.blocks_left_out, "STYLE or REGION block"))
        if self.cues_without_length:
            left_out.append(f"{_count(self.cues_without_length, 'cue')} of no length")
        by_start = sorted(self.cues, key=lambda cue: (cue.start_ms, cue.end_ms))
        return Captions(tuple(by_start), tuple(left_out), timestamp_map)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _read_vtt(lines: Sequence[str]) -> Captions:
    found, timestamp_map, at = _Collected(), None, 1
    while at < len(lines) and lines[at].strip() and "-->" not in lines[at]:
        mapped = _MAP.match(lines[at])
        timestamp_map = _timestamp_map(mapped[1], at + 1) if mapped else timestamp_map
        at += 1
    for first, block in _blocks(lines, at):
        word = block[0].strip()
        if word == "NOTE" or word.startswith(("NOTE ", "NOTE\t")):
            continue
        if word in ("STYLE", "REGION") and not any("-->" in line for line in block):
            found.blocks_left_out += 1
            continue
        _add_block(found, first, block, _VTT_TIMING, _VTT_EXAMPLE)
    return found.captions(timestamp_map)


def _read_srt(lines: Sequence[str]) -> Captions:
    found = _Collected()
    for first, block in _blocks(lines, 0):
        if not found.cues and not any("-->" in line for line in block[:2]):
            raise BadCaptions(
                f"Line {first + 1}: this is neither WebVTT (its first line would be WEBVTT) nor "
                f"SubRip (a number, and below it {_SRT_EXAMPLE}). Export captions as one of these."
            )
        plain = [_SSA_OVERRIDE.sub("", line) for line in block]
        _add_block(found, first, plain, _SRT_TIMING, _SRT_EXAMPLE)
    return found.captions()


def _add_block(
    found: _Collected, first: int, block: Sequence[str], timing: re.Pattern[str], example: str
) -> None:
    """A cue: its name or number where it has one, its times, its text."""
    at = 0 if "-->" in block[0] else 1
    if at >= len(block) or "-->" not in block[at]:
        raise BadCaptions(
            f"Line {first + 1}: text without a time. Write {example} above it, or take out the "
            "empty line before it."
        )
    line = first + at + 1
    times = timing.fullmatch(block[at])
    if times is None:
        raise BadCaptions(f"Line {line}: {block[at].strip()[:60]!r} is no time: write {example}.")
    text = block[at + 1 :]
    for number, one in enumerate(text):
        if "-->" in one:
            raise BadCaptions(
                f"Line {line + number + 1}: a second time in one cue. Put an empty line between "
                "two cues."
            )
    start, end = _ms(*times.groups()[:4]), _ms(*times.groups()[4:8])
    found.add(line, (start, end), times[9] or "", "\n".join(text))


def _ms(hours: str | None, minutes: str, seconds: str, fraction: str) -> int:
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return whole * 1000 + int(fraction.ljust(3, "0"))


def _timestamp_map(text: str, line: int) -> TimestampMap:
    ticks = re.search(r"MPEGTS:(\d{1,12})", text)
    local = re.search(rf"LOCAL:{_VTT_TIME}", text)
    if ticks is None or local is None:
        raise BadCaptions(f"Line {line}: its X-TIMESTAMP-MAP cannot be read.")
    return TimestampMap(int(ticks[1]), _ms(*local.groups()))


def clean_settings(text: str) -> tuple[str, ...]:
    """The cue settings that the standard knows, each once; others (also `region`) are left out."""
    kept: dict[str, str] = {}
    for item in text.split():
        name, _, value = item.partition(":")
        if name in _SETTINGS and _SETTINGS[name].fullmatch(value):
            kept[name] = value
    return tuple(f"{name}:{value}" for name, value in kept.items())


def clean_text(text: str, start_ms: int, end_ms: int) -> str:
    """Cue text with nothing in it but text, escaped, and the standard's tags, each closed.

    Empty when no text is left. Cleaning it again changes nothing.
    """
    out: list[str] = []
    stack: list[str] = []
    for piece in _TAG.split(text):
        if (opening := _OPENING.fullmatch(piece)) is not None:
            if (tag := _opening(opening, stack)) is not None:
                stack.append(opening[1])
                out.append(tag)
        elif (closing := _CLOSING.fullmatch(piece)) is not None:
            while closing[1] in stack:
                out.append(f"</{stack[-1]}>")
                if stack.pop() == closing[1]:
                    break
        elif (inner := _INNER_TIME.fullmatch(piece)) is not None:
            if start_ms <= _ms(*inner.groups()) <= end_ms:
                out.append(f"<{time_text(_ms(*inner.groups()))}>")
        elif not _LIKE_A_TAG.fullmatch(piece):
            out.append(_escaped(_CONTROL.sub(" ", piece)))
    out += [f"</{name}>" for name in reversed(stack)]
    lines = [line.strip() for line in "".join(out).split("\n")]
    if not re.sub(r"<[^<>]*>|\s", "", "".join(lines)):
        return ""
    return "\n".join(line for line in lines if line)


def _opening(found: re.Match[str], stack: Sequence[str]) -> str | None:
    """The tag as it is written, or None where it would mean nothing."""
    name, classes, said = found[1], found[2].rstrip("-"), found[3] or ""
    if len(stack) >= _MOST_NESTED_TAGS or (name == "rt" and "ruby" not in stack):
        return None
    if name not in ("v", "lang"):
        return f"<{name}{classes.rstrip('.')}>"
    # "--" at its end would make "-->" of the tag, which begins a cue
    annotation = _ANY_BREAK.sub(" ", html.unescape(said)).strip().rstrip("- \t")
    if name == "lang":
        annotation = canonical_language(annotation) or ""
    return f"<{name}{classes.rstrip('.')} {_escaped(annotation)}>" if annotation else None


def _escaped(text: str) -> str:
    """Text for a cue; what stands escaped in it is read first, and can then be no line's end."""
    lines = (_ANY_BREAK.sub(" ", html.unescape(line)) for line in text.split("\n"))
    return html.escape("\n".join(lines), quote=False)
