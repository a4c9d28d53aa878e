"""Times as Outlook writes them: dateTimeTimeZone, and the header `Prefer: outlook.timezone`.

Microsoft's pages "dateTimeTimeZone resource type" and "List calendarView". Graph takes names of Windows and of IANA.
"""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from localdev.graph.endpoint import Call
from localdev.graph.errors import bad_request

PREFERENCE = "outlook.timezone"
# Unicode CLDR, windowsZones.xml: a few of about 140.
_WINDOWS = {
    "UTC": "Etc/UTC",
    "GMT Standard Time": "Europe/London",
    "W. Europe Standard Time": "Europe/Berlin",
    "Romance Standard Time": "Europe/Paris",
    "Central European Standard Time": "Europe/Warsaw",
    "FLE Standard Time": "Europe/Kyiv",
    "Turkey Standard Time": "Europe/Istanbul",
    "Eastern Standard Time": "America/New_York",
    "Central Standard Time": "America/Chicago",
    "Mountain Standard Time": "America/Denver",
    "Pacific Standard Time": "America/Los_Angeles",
    "E. South America Standard Time": "America/Sao_Paulo",
    "India Standard Time": "Asia/Kolkata",
    "China Standard Time": "Asia/Shanghai",
    "Tokyo Standard Time": "Asia/Tokyo",
    "AUS Eastern Standard Time": "Australia/Sydney",
    "New Zealand Standard Time": "Pacific/Auckland",
}


def preferred_zone(call: Call) -> str:
    """The time zone of the answer, as the request names it; UTC by default. Raises GraphError 400."""
    name = call.preference(PREFERENCE) or "UTC"
    _zone(name)
    return name


def applied(call: Call) -> dict[str, str]:
    """The header that confirms the preference."""
    name = call.preference(PREFERENCE)
    return {"Preference-Applied": f'{PREFERENCE}="{name}"'} if name else {}


def shown(moment: datetime, zone: str) -> dict[str, str]:
    """A moment as a dateTimeTimeZone."""
    return {"dateTime": moment.astimezone(_zone(zone)).strftime("%Y-%m-%dT%H:%M:%S.%f0"), "timeZone": zone}


def moment_of(value: Any) -> datetime:
    """The moment of a dateTimeTimeZone. Raises GraphError 400."""
    try:
        read = datetime.fromisoformat(str(value["dateTime"]))
        return (read if read.tzinfo else read.replace(tzinfo=_zone(str(value.get("timeZone") or "UTC")))).astimezone(
            UTC
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise bad_request("At least one property failed validation.", "ErrorPropertyValidationFailure") from error


def moment_in(text: str) -> datetime:
    """A moment in a query; UTC when it names no offset. Raises GraphError 400."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise bad_request(f"The value '{text}' is no date and time.", "ErrorInvalidParameter") from error
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(_WINDOWS.get(name, name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise bad_request(
            f"A valid TimeZone value must be specified. The following TimeZone value is not supported: '{name}'.",
            "TimeZoneNotSupportedException",
        ) from error
