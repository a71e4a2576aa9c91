"""The way to Azure Batch: a client, one translation of its errors, and a pool for those who don't use Bicep."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)

from sensorwatch.errors import ConflictError, NotFoundError, SensorwatchError, SettingsError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["autoscale_formula", "batch_client", "ensure_pool", "error_code", "translate_batch_errors"]

_HTTP_RETRIES = 4
_CONNECT_TIMEOUT_SECONDS = 10


def batch_client(url: str | None, name: str | None, key: str | None) -> BatchClient:
    """Return a client of a Batch account; nothing is connected yet.

    Parameters
    ----------
    url
        The account's endpoint; None is refused with the setting's name.
    name, key
        The account's name and base64 key. Without a key the identity of the process is used
        (``DefaultAzureCredential``), which needs an https endpoint.

    Raises
    ------
    SettingsError
        No endpoint, a key without a name, or an http endpoint without a key.
    """
    if not url:
        raise SettingsError(
            "BATCH_ACCOUNT_URL: missing; set it to the account's endpoint, https://ACCOUNT.REGION.batch.azure.com"
        )
    if key:
        if not name:
            raise SettingsError("BATCH_ACCOUNT_NAME: missing; a BATCH_ACCOUNT_KEY needs the account's name beside it")
        return BatchClient(
            url,
            AzureNamedKeyCredential(name, key),
            retry_total=_HTTP_RETRIES,
            connection_timeout=_CONNECT_TIMEOUT_SECONDS,
        )
    if not url.startswith("https://"):
        raise SettingsError(
            f"BATCH_ACCOUNT_KEY: missing; an identity's token is sent over https only, and BATCH_ACCOUNT_URL is `{url}`"
        )
    from azure.identity import DefaultAzureCredential

    return BatchClient(
        url, DefaultAzureCredential(), retry_total=_HTTP_RETRIES, connection_timeout=_CONNECT_TIMEOUT_SECONDS
    )


def autoscale_formula(*, max_nodes: int, slots_per_node: int) -> str:
    """Return the formula that scales a pool from no node to ``max_nodes`` with the tasks that are pending, and back.

    While fewer than 70 % of the last five minutes' samples are there it trusts the newest one alone; nodes leave when
    their tasks are done.
    """
    pending = "$PendingTasks.GetSample(TimeInterval_Minute * 5)"
    return "\n".join(
        [
            f"maxNodes = {max_nodes};",
            f"slots = {slots_per_node};",
            "pct = $PendingTasks.GetSamplePercent(TimeInterval_Minute * 5);",
            "pending = pct < 70 ? max(0, $PendingTasks.GetSample(1)) :",
            f"    max($PendingTasks.GetSample(1), avg({pending}));",
            "nodes = pending > 0 ? (pending + slots - 1) / slots : 0;",
            "$TargetDedicatedNodes = min(maxNodes, nodes);",
            "$TargetLowPriorityNodes = 0;",
            "$NodeDeallocationOption = taskcompletion;",
        ]
    )


def ensure_pool(
    client: BatchClient,
    pool_id: str,
    *,
    vm_size: str = "standard_d4s_v5",
    max_nodes: int = 20,
    slots_per_node: int = 4,
    image: str | None = None,
) -> bool:
    """Create the pool if there is none; one that exists is left as it is.

    Parameters
    ----------
    client
        The account.
    pool_id
        Id of the pool.
    vm_size, max_nodes, slots_per_node
        Its nodes: their size, how many at most, and how many tasks each runs at once.
    image
        Container image that nodes fetch as they start; with it they run an image that has a container runtime.

    Returns
    -------
    bool
        Whether it was created. A pool made here has no managed identity: only Bicep can give it one.

    Raises
    ------
    TransientError, SettingsError
        The account is away, or refuses access.
    """
    with translate_batch_errors(f"pool {pool_id}"):
        try:
            client.get_pool(pool_id, select=["id"])
        except ResourceNotFoundError:
            pass
        else:
            return False
        options = models.BatchPoolCreateOptions(
            id=pool_id,
            vm_size=vm_size,
            virtual_machine_configuration=_node_image(image),
            task_slots_per_node=slots_per_node,
            enable_auto_scale=True,
            auto_scale_formula=autoscale_formula(max_nodes=max_nodes, slots_per_node=slots_per_node),
            auto_scale_evaluation_interval=timedelta(minutes=5),
        )
        try:
            client.create_pool(options)
        except ResourceExistsError as exc:
            if error_code(exc) != "PoolExists":
                raise
            return False
    return True


@contextmanager
def translate_batch_errors(what: str) -> Iterator[None]:
    """Turn the Azure SDK's errors into this project's, with the original as the cause.

    Parameters
    ----------
    what
        What was asked for, as the messages will say it (``job score-20261120T101500Z``).

    Raises
    ------
    NotFoundError
        There is no such thing.
    ConflictError
        It exists already, or its state does not allow that.
    SettingsError
        The account refuses the key or the identity.
    TransientError
        The account is away, too slow or overloaded; the SDK's retries are used up.
    SensorwatchError
        Whatever else the account answered.
    """
    try:
        yield
    except ClientAuthenticationError as exc:
        raise _refused(what, exc) from exc
    except ResourceNotFoundError as exc:
        raise NotFoundError(f"Azure Batch has no {what}: {_describe(exc)}") from exc
    except HttpResponseError as exc:
        raise _translate_response(what, exc) from exc
    except AzureError as exc:
        raise TransientError(
            f"Azure Batch can't be reached for {what}: {_describe(exc)}; "
            "is BATCH_ACCOUNT_URL right, and the service up?"
        ) from exc


def _translate_response(what: str, exc: HttpResponseError) -> SensorwatchError:
    status = exc.status_code
    if status in (401, 403):
        return _refused(what, exc)
    if status == 404:
        return NotFoundError(f"Azure Batch has no {what}: {_describe(exc)}")
    if status in (409, 412):
        return ConflictError(f"Azure Batch can't do that to {what} now: {_describe(exc)}")
    if status is None or status in (408, 429) or status >= 500:
        return TransientError(f"Azure Batch is busy, asked for {what}: {_describe(exc)}")
    return SensorwatchError(f"Azure Batch refuses {what}: {_describe(exc)}")


def _refused(what: str, exc: AzureError) -> SettingsError:
    return SettingsError(
        f"Azure Batch refuses access to {what}: {_describe(exc)}; check that BATCH_ACCOUNT_KEY and BATCH_ACCOUNT_NAME "
        "belong to BATCH_ACCOUNT_URL, or give the identity the role `Azure Batch Data Contributor`"
    )


def error_code(exc: HttpResponseError) -> str | None:
    """Return Batch's own code (``TaskExists``); a response that was streamed has none."""
    return None if exc.error is None else exc.error.code


def _describe(exc: AzureError) -> str:
    error = exc.error if isinstance(exc, HttpResponseError) else None
    text = (error.message if error is not None else None) or exc.message or type(exc).__name__
    line = str(text).splitlines()[0]
    return f"{error.code}: {line}" if error is not None and error.code else line


def _node_image(image: str | None) -> models.VirtualMachineConfiguration:
    if image is None:
        reference = models.BatchVmImageReference(
            publisher="canonical", offer="ubuntu-24_04-lts", sku="server", version="latest"
        )
        containers = None
    else:
        reference = models.BatchVmImageReference(
            publisher="microsoft-dsvm", offer="ubuntu-hpc", sku="2404", version="latest"
        )
        containers = models.BatchContainerConfiguration(
            type=models.ContainerType.DOCKER_COMPATIBLE, container_image_names=[image]
        )
    return models.VirtualMachineConfiguration(
        image_reference=reference,
        node_agent_sku_id="batch.node.ubuntu 24.04",
        container_configuration=containers,
    )
