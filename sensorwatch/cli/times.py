"""Times on the command line."""

from __future__ import annotations

from datetime import datetime

import typer

from sensorwatch.clock import parse_time_text

__all__ = ["parse_moment"]


def parse_moment(text: str | datetime) -> datetime:
    """Return an option's time in UTC; its text has the form that :func:`~sensorwatch.clock.parse_time_text` describes.

    Parameters
    ----------
    text
        The text; an option's default value is a time already.

    Raises
    ------
    typer.BadParameter
        The text does not have this form, or there is no such time.
    """
    if isinstance(text, datetime):
        return text
    try:
        return parse_time_text(text)
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from None
