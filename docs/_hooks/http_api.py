"""Render every operation and schema of the OpenAPI document into the page that holds the marker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sensorwatch.api.app import create_api

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MARKER", "api_reference", "on_page_markdown"]

MARKER = "<!-- routes -->"
_LIMITS = (("minimum", "≥"), ("maximum", "≤"), ("minLength", "length ≥"), ("maxLength", "length ≤"))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marker by the operations and schemas; mkdocs calls this for every page."""
    return markdown.replace(MARKER, api_reference()) if MARKER in markdown else markdown


def api_reference() -> str:
    """Describe all operations, by tag, and the schemas of bodies and answers in Markdown."""
    # Only requests need the product; the document describes the routes.
    document = create_api(_no_product).openapi()
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).extend(_operation(method.upper(), path, operation))
    lines: list[str] = []
    for tag, described in by_tag.items():
        lines += [f"### {tag[0].upper()}{tag[1:]}", "", *described]
    lines += ["## Schemas", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += _schema(name, schema)
    return "\n".join(lines)


def _no_product() -> Any:
    raise RuntimeError("the documentation asks for no data")


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield from (f"#### {method} {path}", "", operation.get("description", ""), "")
    if parameters := operation.get("parameters"):
        yield from ("| Parameter | In | Type | Default | |", "|---|---|---|---|---|")
        for parameter in parameters:
            kind, schema = parameter["in"], parameter["schema"]
            default = "required" if parameter["required"] else _default(schema)
            meaning = _cell(parameter.get("description", ""))
            yield f"| `{parameter['name']}` | {kind} | {_type(schema)} | {default} | {meaning} |"
        yield ""
    if body := operation.get("requestBody"):
        yield from (f"Body: {_contents(body)}", "")
    yield from (f"Answer: {_contents(operation['responses']['200'])}", "")


def _schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield from (f"### {name} {{ #schema-{name.lower()} }}", "", schema.get("description", ""), "")
    if properties := schema.get("properties"):
        required = schema.get("required", [])
        yield from ("| Field | Type | Default | |", "|---|---|---|---|")
        for field, part in properties.items():
            default = "" if field in required else _default(part)
            yield f"| `{field}` | {_type(part)} | {default} | {_cell(part.get('description', ''))} |"
        yield ""


def _contents(described: dict[str, Any]) -> str:
    return " or ".join(f"{_type(part.get('schema', {}))} (`{kind}`)" for kind, part in described["content"].items())


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#schema-{name.lower()})"
    if several := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return " or ".join(dict.fromkeys(_type(part) for part in several))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    limits = [f"{sign} {schema[key]}" for key, sign in _LIMITS if key in schema]
    return " ".join([schema.get("format") or schema.get("type", "any"), *limits])


def _default(schema: dict[str, Any]) -> str:
    return "" if schema.get("default") is None else f"`{schema['default']}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
