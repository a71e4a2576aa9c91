"""HTTP route templates of ASP.NET: ``sensors/{id:int}/{part?}/{*rest}``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from local.functions_host.errors import HostError

__all__ = ["Route", "parse_route"]

_PARAMETER = re.compile(r"\{(?P<rest>\*{0,2})(?P<name>[A-Za-z_]\w*)(?::(?P<constraint>\w+))?(?P<optional>\??)\}")
_CONSTRAINTS = {
    "alpha": "[A-Za-z]+",
    "bool": "(?:[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])",
    "decimal": r"-?\d+(?:\.\d+)?",
    "double": r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?",
    "float": r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?",
    "guid": r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "int": r"-?\d{1,10}",
    "long": r"-?\d{1,19}",
}


@dataclass(frozen=True, slots=True)
class Route:
    """A template as a pattern; ``order`` sorts more specific templates first."""

    pattern: re.Pattern[str]
    order: tuple[int, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """Return the route parameters of a path (no leading slash, percent-decoded), or None if it does not match."""
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        return {name: value for name, value in found.groupdict().items() if value is not None}


def parse_route(template: str, where: str) -> Route:
    """Parse a template.

    Raises
    ------
    HostError
        A parameter is malformed or has an unknown constraint.

    Examples
    --------
    >>> parse_route("sensors/{id:int}/{part?}", "function api").match("sensors/12")
    {'id': '12'}
    """
    pattern, order = "", []
    for segment in (part for part in template.strip("/").split("/") if part):
        slash = "/" if pattern else ""
        parameter = _PARAMETER.fullmatch(segment)
        if parameter is None:
            if "{" in segment or "}" in segment:
                raise HostError(f"{where}: expected a literal or one {{parameter}} between slashes, got `{segment}`")
            pattern += slash + re.escape(segment)
            order.append(0)
            continue
        constraint = parameter["constraint"]
        if constraint is not None and constraint not in _CONSTRAINTS:
            raise HostError(f"{where}: expected a constraint among {', '.join(_CONSTRAINTS)}, got `{constraint}`")
        value = ".*" if parameter["rest"] else _CONSTRAINTS.get(constraint or "", "[^/]+")
        optional = "?" if parameter["optional"] or parameter["rest"] else ""
        pattern += f"(?:{slash}(?P<{parameter['name']}>{value})){optional}"
        order.append(3 if parameter["rest"] else 1 if constraint else 2)
    return Route(re.compile(pattern + "/?", re.IGNORECASE | re.DOTALL), tuple(order))
