"""NCRONTAB: when a timer is due, in UTC."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta

from croniter import croniter
from croniter.croniter import CroniterBadCronError, CroniterBadDateError

from local.functions_host.errors import HostError

__all__ = ["Schedule"]

# croniter knows more (L, #, R, H, @daily); Azure's timers don't.
_FIELD = re.compile(r"[0-9A-Za-z*,/-]+")
_WORDS = {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"} | {
    *("sun", "mon", "tue", "wed", "thu", "fri", "sat")
}
_SAMPLES = 10


class Schedule:
    """A six-field NCRONTAB expression ``second minute hour day month weekday``; five fields mean second 0.

    Unlike in cron, a day must satisfy both the day and the weekday field.

    Raises
    ------
    HostError
        The expression is none of these, or is never due.

    Examples
    --------
    >>> Schedule("0 */5 * * * *", "timer").after(datetime(2026, 11, 21, 10, 5, tzinfo=UTC)).isoformat()
    '2026-11-21T10:10:00+00:00'
    """

    def __init__(self, expression: str, where: str) -> None:
        fields = expression.split()
        words = {word.lower() for field in fields for word in re.findall(r"[A-Za-z]+", field)}
        if len(fields) not in (5, 6) or not all(_FIELD.fullmatch(field) for field in fields) or words - _WORDS:
            raise HostError(f"{where}: expected six fields like `0 */5 * * * *`, got `{expression}`")
        self.expression = " ".join(fields if len(fields) == 6 else ["0", *fields])
        try:
            self.after(datetime(2026, 1, 1, tzinfo=UTC))
        except CroniterBadDateError:
            raise HostError(f"{where}: `{expression}` is never due") from None
        except (CroniterBadCronError, ValueError, KeyError) as exc:
            raise HostError(f"{where}: expected six fields like `0 */5 * * * *`, got `{expression}`: {exc}") from None

    def after(self, time: datetime) -> datetime:
        """Return the first due time after ``time`` (exclusive); both aware, UTC."""
        # Whole seconds: croniter would carry a fraction on.
        start = time.astimezone(UTC).replace(microsecond=0)
        due: datetime = croniter(
            self.expression, start, ret_type=datetime, second_at_beginning=True, day_or=False
        ).get_next()
        return due

    def shortest_interval(self, time: datetime) -> timedelta:
        """Return the shortest time between the next few due times after ``time``."""
        dues = list(itertools.accumulate(range(_SAMPLES), lambda due, _: self.after(due), initial=self.after(time)))
        return min(later - earlier for earlier, later in itertools.pairwise(dues))
