"""NCRONTAB schedules of timers, in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    from croniter import croniter

__all__ = ["Schedule"]

# croniter also accepts L, #, R, H and @daily, which the timers of Azure Functions refuse.
_FIELD = re.compile(r"[0-9A-Za-z*,/-]+")
_WORDS = {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"} | {
    *("sun", "mon", "tue", "wed", "thu", "fri", "sat")
}


class Schedule:
    """A six-field NCRONTAB expression ``second minute hour day month weekday``; five fields mean second 0.

    Unlike cron, a day must match both the day field and the weekday field.

    Parameters
    ----------
    expression
        The NCRONTAB expression.

    Raises
    ------
    InvalidInputError
        The expression is not valid NCRONTAB, or no time matches it.

    Examples
    --------
    >>> every_five_minutes = Schedule("0 */5 * * * *")
    >>> every_five_minutes.after(datetime(2026, 11, 21, 10, 5, tzinfo=UTC)).isoformat()
    '2026-11-21T10:10:00+00:00'
    >>> every_five_minutes.before(datetime(2026, 11, 21, 10, 7, tzinfo=UTC)).isoformat()
    '2026-11-21T10:05:00+00:00'
    """

    def __init__(self, expression: str) -> None:
        # Imported on demand, because the function app must start without it.
        from croniter.croniter import CroniterBadCronError, CroniterBadDateError

        fields = expression.split()
        words = {word.lower() for field in fields for word in re.findall(r"[A-Za-z]+", field)}
        if len(fields) not in (5, 6) or not all(_FIELD.fullmatch(field) for field in fields) or words - _WORDS:
            raise InvalidInputError(f"expected six fields like `0 */5 * * * *`, got `{expression}`")
        self.expression = " ".join(fields if len(fields) == 6 else ["0", *fields])
        try:
            self.after(datetime(2026, 1, 1, tzinfo=UTC))
        except CroniterBadDateError:
            raise InvalidInputError(f"`{expression}` is never due") from None
        except (CroniterBadCronError, ValueError, KeyError) as exc:
            raise InvalidInputError(f"expected six fields like `0 */5 * * * *`, got `{expression}`: {exc}") from None

    def after(self, time: datetime) -> datetime:
        """Return the first due time after ``time`` (aware, exclusive)."""
        due: datetime = self._from(time).get_next()
        return due

    def before(self, time: datetime) -> datetime:
        """Return the last due time before ``time`` (aware, exclusive, cut to whole seconds)."""
        due: datetime = self._from(time).get_prev()
        return due

    def _from(self, time: datetime) -> croniter[datetime]:
        from croniter import croniter

        # croniter would add a fraction of a second to each due time.
        start = time.astimezone(UTC).replace(microsecond=0)
        return croniter(self.expression, start, ret_type=datetime, second_at_beginning=True, day_or=False)
