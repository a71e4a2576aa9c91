"""Indexing of an app: import of ``function_app.py``, and the checks of its functions that Azure makes."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
import traceback
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import azure.functions as func

from local.functions_host.binding_expressions import parse_time_span, resolve_settings
from local.functions_host.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["HostedFunction", "RetryPolicy", "load_app"]

_TRIGGERS = ("blobTrigger", "eventHubTrigger", "httpTrigger", "timerTrigger")
_RETRIED = ("eventHubTrigger", "timerTrigger")
_BINDING_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9]{0,127}|\$return")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retry policy of failed invocations; a ``max_retries`` of -1 is unlimited."""

    max_retries: int
    first_delay_seconds: float
    longest_delay_seconds: float

    def delay_seconds(self, retry: int) -> float:
        """Return the delay before a retry, which is counted from 1; it doubles up to the longest."""
        # The exponent is bounded, as unlimited retries would overflow the float.
        return min(self.first_delay_seconds * 2.0 ** min(retry - 1, 32), self.longest_delay_seconds)


@dataclass(frozen=True, slots=True)
class HostedFunction:
    """A function of the app; ``trigger`` and ``bindings`` are as in a function.json, with ``%NAME%`` resolved."""

    name: str
    call: Callable[..., Any]
    trigger: Mapping[str, Any]
    bindings: list[dict[str, Any]]
    retry: RetryPolicy | None
    takes_context: bool
    disabled: bool

    @property
    def kind(self) -> str:
        """Type of the trigger, such as ``timerTrigger``."""
        return str(self.trigger["type"])

    @property
    def where(self) -> str:
        """Function and binding, for messages."""
        return f"function {self.name}, binding {self.trigger['name']} ({self.kind})"


def load_app(folder: Path, settings: Mapping[str, str]) -> list[HostedFunction]:
    """Import ``function_app.py`` and return its functions, ordered by name.

    Raises
    ------
    HostError
        The app can't be imported (the message has the traceback), has no functions, or has one that can't run.
    """
    if not (folder / "function_app.py").is_file():
        raise HostError(f"{folder}: there is no function_app.py; set --app to the folder of the app")
    sys.path.insert(0, str(folder))
    try:
        module = importlib.import_module("function_app")
        apps = [value for value in vars(module).values() if isinstance(value, func.FunctionRegister)]
        # A second call of get_functions on the same app raises.
        registered = [function for app in apps for function in app.get_functions()]
    except Exception:  # noqa: BLE001 - whatever the app raises is reported, never swallowed
        raise HostError(f"{folder / 'function_app.py'} can't be loaded:\n{traceback.format_exc()}") from None
    if len(apps) != 1:
        raise HostError(
            f"{folder / 'function_app.py'}: expected one func.FunctionApp at the top of the module, got {len(apps)}"
        )
    if not registered:
        raise HostError(
            f"{folder / 'function_app.py'}: 0 functions found; decorate functions, or register their blueprints"
        )
    return sorted((_describe(function, settings) for function in registered), key=lambda function: function.name)


def _describe(function: Any, settings: Mapping[str, str]) -> HostedFunction:
    name = function.get_function_name()
    bindings = [
        _resolve(binding, settings, f"function {name}, binding {binding['name']} ({binding['type']})")
        for binding in json.loads(function.get_function_json())["bindings"]
    ]
    trigger_name = function.get_trigger().get_dict_repr()["name"]
    trigger = next(binding for binding in bindings if binding["name"] == trigger_name)
    _check_bindings(name, bindings)
    call = function.get_user_function()
    takes_context = _check_parameters(name, call, trigger)
    retry = function.get_settings_dict("retry_policy")
    return HostedFunction(
        name=name,
        call=call,
        trigger=trigger,
        bindings=bindings,
        # The real host ignores the policy of other triggers.
        retry=_retry_policy(retry, f"function {name}") if retry and trigger["type"] in _RETRIED else None,
        takes_context=takes_context,
        disabled=any(
            settings.get(key, "").lower() in ("1", "true")
            for key in (f"AzureWebJobs.{name}.Disabled", f"AzureWebJobs__{name}__Disabled")
        ),
    )


def _resolve(binding: dict[str, Any], settings: Mapping[str, str], where: str) -> dict[str, Any]:
    return {
        key: resolve_settings(value, settings, where) if isinstance(value, str) and key != "connection" else value
        for key, value in binding.items()
    }


def _check_bindings(name: str, bindings: list[dict[str, Any]]) -> None:
    for binding in bindings:
        if binding["type"] not in _TRIGGERS and (binding["type"], binding["name"]) != ("http", "$return"):
            raise HostError(
                f"function {name}, binding {binding['name']}: type {binding['type']} is not supported locally; "
                f"supported are {', '.join(_TRIGGERS)} and the HTTP response"
            )
        if not _BINDING_NAME.fullmatch(binding["name"]):
            raise HostError(
                f"function {name}: Azure refuses the argument name `{binding['name']}`; use letters and digits only"
            )


def _check_parameters(name: str, call: Callable[..., Any], trigger: Mapping[str, Any]) -> bool:
    """Check the signature as the worker does, and return whether the function has the parameter ``context``."""
    parameters = set(inspect.signature(call).parameters)
    takes_context = "context" in parameters and trigger["name"] != "context"
    expected = {trigger["name"]} | ({"context"} if takes_context else set())
    if parameters != expected:
        raise HostError(
            f"function {name}: expected the parameters {sorted(expected)} (one per binding, and optionally context), "
            f"got {sorted(parameters)}"
        )
    annotation = typing.get_type_hints(call).get(str(trigger["name"]))
    converter = func.get_binding_registry().get(trigger["type"])
    if annotation is not None and not converter.check_input_type_annotation(annotation):
        raise HostError(
            f"function {name}: the worker refuses {annotation} for {trigger['name']} ({trigger['type']}); "
            "the type of many events is typing.List[func.EventHubEvent]"
        )
    return takes_context


def _retry_policy(policy: Mapping[str, str], where: str) -> RetryPolicy:
    retries = int(policy["max_retry_count"])
    if policy["strategy"] == "fixed_delay":
        delay = parse_time_span(policy["delay_interval"], f"{where}: delay_interval")
        return RetryPolicy(retries, delay, delay)
    if policy["strategy"] == "exponential_backoff":
        return RetryPolicy(
            retries,
            parse_time_span(policy["minimum_interval"], f"{where}: minimum_interval"),
            parse_time_span(policy["maximum_interval"], f"{where}: maximum_interval"),
        )
    raise HostError(f"{where}: retry strategy: expected fixed_delay or exponential_backoff, got `{policy['strategy']}`")
