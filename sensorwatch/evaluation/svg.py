"""Elements of SVG charts: scales, paths and text, without scripts and without a plotting library."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Numbers = npt.ArrayLike

__all__ = ["Scale", "drawing", "element", "path_data"]

_OVERSHOOT = 0.05


class Scale(NamedTuple):
    """Linear scale that maps the values ``low`` to ``high`` onto the coordinates ``start`` to ``end``.

    Values outside are mapped at most 5 % of the length beyond an end.

    Examples
    --------
    >>> Scale(0, 10, start=100, end=0)([0, 5, 10, 99]).tolist()
    [100.0, 50.0, 0.0, -5.0]
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, values: Numbers) -> Floats:
        """Return the coordinates of ``values``, float64 of the same shape."""
        share = (np.asarray(values, np.float64) - self.low) / ((self.high - self.low) or 1.0)
        return np.asarray(self.start + np.clip(share, -_OVERSHOOT, 1 + _OVERSHOOT) * (self.end - self.start))


def element(name: str, title: str | None = None, *content: str, **attributes: str | float) -> str:
    """Return one SVG element.

    Parameters
    ----------
    name
        Name of the element, such as ``rect``.
    title
        Tooltip; None for none.
    *content
        Text inside the element.
    **attributes
        Attributes. Numbers are written with one decimal place. An underscore in a name becomes a hyphen, a trailing
        one is removed.

    Examples
    --------
    >>> element("text", None, "a < b", class_="tick", text_anchor="end", x=2)
    '<text class="tick" text-anchor="end" x="2.0">a &lt; b</text>'
    """
    tooltip = "" if title is None else f"<title>{escape(title)}</title>"
    return f"<{name}{_written(attributes)}>{tooltip}{escape(''.join(content))}</{name}>"


def path_data(x: Floats, y: Floats, starts: Sequence[bool] | npt.NDArray[np.bool_] | None = None) -> str:
    """Return the data of a path through points.

    Parameters
    ----------
    x, y
        Coordinates, shape ``(n_points,)``, float64.
    starts
        True where a new line starts, shape ``(n_points,)``; None: one line through all points.

    Examples
    --------
    >>> path_data(np.array([0.0, 1.0, 5.0]), np.array([2.0, 3.0, 2.0]), [True, False, True])
    'M0.0 2.0L1.0 3.0M5.0 2.0'
    """
    new = np.arange(len(x)) == 0 if starts is None else starts
    return "".join(f"{'M' if start else 'L'}{a:.1f} {b:.1f}" for start, a, b in zip(new, x, y, strict=True))


def drawing(parts: Iterable[str], width: float, height: float, label: str) -> str:
    """Return a whole SVG image.

    Parameters
    ----------
    parts
        Its elements, in the order in which they are drawn.
    width, height
        Size of the coordinate system. The page determines the displayed size.
    label
        Description for screen readers.
    """
    attributes = _written({"viewBox": f"0 0 {width:g} {height:g}", "role": "img", "aria_label": label})
    return f"<svg{attributes}>{''.join(parts)}</svg>"


def _written(attributes: Mapping[str, str | float]) -> str:
    return "".join(f' {key.rstrip("_").replace("_", "-")}="{_text(value)}"' for key, value in attributes.items())


def _text(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else f"{value:.1f}"
