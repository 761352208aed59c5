"""Languages of captions: tags as BCP 47 writes them, codes of containers, and their own names.

What belongs here: from what a file or a person says to a tag, and from a tag to a name. What does
not: which languages a VOD has (library).

Containers write ISO 639-2 (MP4, and Matroska's old field), three letters, for some languages one of
two codes. Languages that are not in the table keep the tag that they came with.
"""

from __future__ import annotations

import re
from collections.abc import Collection

UNKNOWN = "und"
"""BCP 47's tag for a language that nobody named."""

MAX_TAG_CHARACTERS = 35
_TAG = re.compile(
    r"([A-Za-z]{2,3})(-[A-Za-z]{4})?(-(?:[A-Za-z]{2}|\d{3}))?"
    r"((?:-(?:[A-Za-z0-9]{5,8}|\d[A-Za-z0-9]{3}))*(?:-[xX](?:-[A-Za-z0-9]{1,8})+)?)"
)
# tag, ISO 639-2 codes, its name in itself
_TABLE = """
ar ara العربية|bg bul Български|bn ben বাংলা|ca cat Català|cs ces,cze Čeština|da dan Dansk
de deu,ger Deutsch|el ell,gre Ελληνικά|en eng English|es spa Español|et est Eesti|eu eus,baq Euskara
fa fas,per فارسی|fi fin Suomi|fil fil Filipino|fr fra,fre Français|ga gle Gaeilge|gl glg Galego
he heb עברית|hi hin हिन्दी|hr hrv Hrvatski|hu hun Magyar|hy hye,arm Հայերեն|id ind Indonesia
is isl,ice Íslenska|it ita Italiano|ja jpn 日本語|ka kat,geo ქართული|kk kaz Қазақ тілі|ko kor 한국어
lt lit Lietuvių|lv lav Latviešu|mk mkd,mac Македонски|ms msa,may Melayu|nb nob Norsk bokmål
nl nld,dut Nederlands|nn nno Norsk nynorsk|no nor Norsk|pl pol Polski|pt por Português
ro ron,rum Română|ru rus Русский|sk slk,slo Slovenčina|sl slv Slovenščina|sq sqi,alb Shqip
sr srp Српски|sv swe Svenska|sw swa Kiswahili|ta tam தமிழ்|te tel తెలుగు|th tha ไทย|tr tur Türkçe
uk ukr Українська|ur urd اردو|vi vie Tiếng Việt|zh zho,chi 中文
"""
_ROWS = [row.split(" ", 2) for row in _TABLE.strip().replace("\n", "|").split("|")]
NAMES: dict[str, str] = {tag: name for tag, _, name in _ROWS} | {
    "pt-BR": "Português (Brasil)",
    "zh-Hans": "简体中文",
    "zh-Hant": "繁體中文",
    "es-419": "Español (Latinoamérica)",
    "en-GB": "English (UK)",
    "en-US": "English (US)",
    "fr-CA": "Français (Canada)",
}
"""Names of languages in themselves, by tag: those that are offered to choose from."""

_BY_CODE = {code: tag for tag, codes, _ in _ROWS for code in codes.split(",")}


def canonical_language(text: str) -> str | None:
    """The BCP 47 tag as it is written: `pt_br` is `pt-BR`, `ger` is `de`. None: it is none."""
    found = _TAG.fullmatch(text.strip().replace("_", "-"))
    if found is None or len(found[0]) > MAX_TAG_CHARACTERS:
        return None
    language = found[1].lower()
    script, region = (found[2] or "").title(), (found[3] or "").upper()
    return f"{_BY_CODE.get(language, language)}{script}{region}{found[4].lower()}"


def language_name(tag: str) -> str:
    """What the language is called in itself; of one that is not in the table, its tag."""
    if tag in NAMES:
        return NAMES[tag]
    language = tag.partition("-")[0]
    if tag == UNKNOWN:
        return "Unknown language"
    return f"{NAMES[language]} ({tag})" if language in NAMES else tag


def unused_tag(tag: str, used: Collection[str]) -> str:
    """The tag, or where it is taken, the same for private use: `en-x-2` is the second English."""
    number, free = 1, tag
    while free in used:
        number += 1
        free = f"{tag}{'-' if '-x-' in tag else '-x-'}{number}"
    return free
