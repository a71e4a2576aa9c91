"""Time zones in iCalendar texts: IANA and Windows names, and those that a calendar defines itself (VTIMEZONE)."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from zoneinfo import available_timezones

from sensorwatch.errors import SettingsError

__all__ = ["with_known_zones"]

_FOLD = re.compile(r"\r?\n[ \t]")
_DEFINITION = re.compile(r"^BEGIN:VTIMEZONE\s*?$.*?^END:VTIMEZONE[ \t\r]*\n?", re.DOTALL | re.IGNORECASE | re.MULTILINE)
_NAME = re.compile(r"^TZID(?:;[^:\n]*)?:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
# Outlook also writes `tzone:` without quotes, although it holds a colon.
_PARAMETER = re.compile(
    r'^([\w-]+(?:;[\w-]+=(?:"[^"\n]*"|[^";:\n])*)*?;TZID=)("[^"\n]*"|tzone://[^";:,\r\n]*|[^";:\r\n]*)',
    re.IGNORECASE | re.MULTILINE,
)
_ESCAPED = re.compile(r"\\([\\,;])")
_MICROSOFT = "tzone://microsoft/"


def with_known_zones(text: str) -> str:
    """Return an iCalendar text in which every time zone has its IANA name, or a name of its own if it is defined.

    The name of a defined zone is derived from its definition, because ``icalendar`` keeps one table of zones for all
    calendars, in which the first definition of a name would count for all of them. A definition of a zone that has an
    IANA name is left out.

    Parameters
    ----------
    text
        An iCalendar text; lines may be folded.

    Raises
    ------
    SettingsError
        A time names a zone that is neither known nor defined.
    """
    text = _FOLD.sub("", text)
    defined: dict[str, str] = {}

    def define(match: re.Match[str]) -> str:
        definition = match[0]
        found = _NAME.search(definition)
        name = _clean(found[1]) if found else ""
        if not found or _iana_name(name):
            return ""
        defined[name] = f"defined-{hashlib.sha256(definition.encode()).hexdigest()[:16]}"
        return f"{definition[: found.start()]}TZID:{defined[name]}{definition[found.end() :]}"

    def name_zone(match: re.Match[str]) -> str:
        name = _clean(match[2].strip('"'))
        zone = defined.get(name) or _iana_name(name)
        if zone is None:
            raise SettingsError(
                f"expected a time zone that is known by its IANA or Windows name, or defined in the calendar "
                f"(VTIMEZONE), got `{name}`; export the calendar with its time zones, or correct the name"
            )
        return f"{match[1]}{zone}"

    return _PARAMETER.sub(name_zone, _DEFINITION.sub(define, text))


def _clean(name: str) -> str:
    return _ESCAPED.sub(r"\1", name).strip()


def _iana_name(name: str) -> str | None:
    """Return the IANA name of a zone by that name, its Windows name, or one with a vendor's prefix; None if unknown."""
    lowered = name.lower().removeprefix(_MICROSOFT).strip("/")
    parts = lowered.split("/") if name.startswith("/") else [lowered]
    candidates = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((found for candidate in candidates if (found := _zone_names().get(candidate))), None)


@lru_cache(maxsize=1)
def _zone_names() -> dict[str, str]:
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

    names = WINDOWS_TO_OLSON | {zone: zone for zone in available_timezones()} | {"Z": "UTC"}
    return {name.lower(): zone for name, zone in names.items()}
