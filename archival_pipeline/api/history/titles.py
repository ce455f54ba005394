"""Titles of statuses, in the platform's words. Not here: which status a row has (``rows.py``)."""

from __future__ import annotations

from typing import Literal

Language = Literal["uk", "en"]

# status -> language -> title for officers, title for citizens
_TITLES: dict[str, dict[Language, tuple[str, str]]] = {
    "ACTIVE": {
        "uk": ("У виконанні", "Прийнято в обробку"),
        "en": ("In progress", "Under processing"),
    },
    "PENDING": {
        "uk": ("Очікує виконання задачі", "Чернетка"),
        "en": ("Pending task execution", "Draft"),
    },
    "SUSPENDED": {
        "uk": ("Призупинено адміністратором", "Послуга тимчасово недоступна"),
        "en": ("Suspended by administrator", "Service temporarily unavailable"),
    },
    "COMPLETED": {
        "uk": ("Надання послуги завершено", "Надання послуги завершено"),
        "en": ("Service provided has been completed", "Service provided has been completed"),
    },
    "EXTERNALLY_TERMINATED": {
        "uk": ("Відмінено адміністратором", "Відмінено адміністратором"),
        "en": ("Terminated by administrator", "Terminated by administrator"),
    },
    # Ours: the platform has no word for it, because it never showed such rows.
    "INTERNALLY_TERMINATED": {
        "uk": ("Завершено системою", "Завершено системою"),
        "en": ("Terminated by the system", "Terminated by the system"),
    },
}


def title_of(code: str, language: Language, *, officer: bool) -> str:
    """The title of a status."""
    for_officers, for_citizens = _TITLES[code][language]
    return for_officers if officer else for_citizens


def language_of(asked: str | None, default: Language) -> Language:
    """The language of an answer: the one asked for, where there are words in it."""
    wanted = (asked or "").lower().replace("_", "-").split("-")[0]
    return "uk" if wanted == "uk" else "en" if wanted == "en" else default
