"""Azure Batch: the client, the translation of its errors, and creation of a pool without Bicep."""

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
    """Return a client of a Batch account. It connects on the first call.

    Parameters
    ----------
    url
        Endpoint of the account.
    name, key
        Name and base64 key of the account. Without a key, the identity of the process is used
        (``DefaultAzureCredential``), which needs an https endpoint.

    Raises
    ------
    SettingsError
        The endpoint is missing, a key has no account name, or an http endpoint has no key.
    """
    if not url:
        raise SettingsError(
            "BATCH_ACCOUNT_URL: missing; set it to the account's endpoint, https://ACCOUNT.REGION.batch.azure.com"
        )
    if key:
        if not name:
            raise SettingsError("BATCH_ACCOUNT_NAME: missing; BATCH_ACCOUNT_KEY also needs the name of the account")
        return BatchClient(
            url,
            AzureNamedKeyCredential(name, key),
            retry_total=_HTTP_RETRIES,
            connection_timeout=_CONNECT_TIMEOUT_SECONDS,
        )
    if not url.startswith("https://"):
        raise SettingsError(
            f"BATCH_ACCOUNT_KEY: missing; without a key, BATCH_ACCOUNT_URL must be an https URL, got `{url}`"
        )
    from azure.identity import DefaultAzureCredential

    return BatchClient(
        url, DefaultAzureCredential(), retry_total=_HTTP_RETRIES, connection_timeout=_CONNECT_TIMEOUT_SECONDS
    )


def autoscale_formula(*, max_nodes: int, slots_per_node: int) -> str:
    """Return the formula that scales a pool between 0 and ``max_nodes`` nodes by its number of pending tasks.

    If fewer than 70 % of the samples of the last five minutes exist, only the newest sample counts. A node is removed
    after its tasks have ended.
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
    """Create the pool unless it exists. An existing pool stays as it is.

    A pool created here has no managed identity; only Bicep can assign one.

    Parameters
    ----------
    client
        Client of the account.
    pool_id
        Id of the pool.
    vm_size
        Size of the nodes.
    max_nodes
        Largest number of nodes.
    slots_per_node
        Number of tasks that a node runs at once.
    image
        Container image that nodes pull when they start. With it, nodes use a VM image with a container runtime.

    Returns
    -------
    bool
        True if the pool was created.

    Raises
    ------
    TransientError
        The account is unavailable.
    SettingsError
        The account refuses access.
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
    """Translate errors of the Azure SDK into errors of this project, with the original as the cause.

    Parameters
    ----------
    what
        Name of the resource for the messages (``job score-20261120T101500Z``).

    Raises
    ------
    NotFoundError
        The resource does not exist.
    ConflictError
        The resource exists already, or its state does not allow the operation.
    SettingsError
        The account refuses the key or the identity.
    TransientError
        The account is unavailable, too slow or overloaded, and the SDK's retries are used up.
    SensorwatchError
        Any other error.
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
            "check BATCH_ACCOUNT_URL, and that the service is up"
        ) from exc


def _translate_response(what: str, exc: HttpResponseError) -> SensorwatchError:
    status = exc.status_code
    if status in (401, 403):
        return _refused(what, exc)
    if status == 404:
        return NotFoundError(f"Azure Batch has no {what}: {_describe(exc)}")
    if status in (409, 412):
        return ConflictError(f"Azure Batch can't change {what} in its current state: {_describe(exc)}")
    if status is None or status in (408, 429) or status >= 500:
        return TransientError(f"Azure Batch is busy or too slow for {what}: {_describe(exc)}")
    return SensorwatchError(f"Azure Batch refuses {what}: {_describe(exc)}")


def _refused(what: str, exc: AzureError) -> SettingsError:
    return SettingsError(
        f"Azure Batch refuses access to {what}: {_describe(exc)}; check that BATCH_ACCOUNT_KEY and BATCH_ACCOUNT_NAME "
        "belong to BATCH_ACCOUNT_URL, or give the identity the role `Azure Batch Data Contributor`"
    )


def error_code(exc: HttpResponseError) -> str | None:
    """Return the error code of Batch (``TaskExists``); None for a streamed response."""
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
