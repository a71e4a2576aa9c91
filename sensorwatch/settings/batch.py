"""Settings of Azure Batch: account, pool, tasks and costs."""

from __future__ import annotations

from pydantic import Field, SecretStr

from sensorwatch.settings.group import SettingsGroup

__all__ = ["BatchSettings"]


class BatchSettings(SettingsGroup):
    """Azure Batch."""

    batch_account_url: str | None = Field(
        None, pattern=r"^https?://[^/]+/?$", description="Endpoint of the Batch account."
    )
    batch_account_name: str | None = Field(
        None, description="Name of the Batch account. Needed only with `BATCH_ACCOUNT_KEY`."
    )
    batch_account_key: SecretStr | None = Field(
        None, description="Key of the Batch account. Without it, the identity of the process is used."
    )
    batch_pool_id: str = Field("sensorwatch", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Pool that runs the tasks.")
    task_image: str | None = Field(
        None, description="Container image of the tasks. Without it, tasks run directly on the node."
    )
    task_identity_id: str | None = Field(
        None, description="Resource id of the pool's user-assigned identity, which uploads the tasks' logs."
    )
    task_retries: int = Field(2, ge=0, le=10, description="Number of retries of a failed task.")
    task_timeout_seconds: int = Field(3600, ge=1, description="Time limit of a task, in seconds.")
    max_nodes: int = Field(
        20,
        ge=1,
        le=10_000,
        description="Most nodes of a pool that `sensorwatch init --pool` creates. `sensorwatch plan` uses it too.",
    )
    task_slots_per_node: int = Field(4, ge=1, le=256, description="Tasks that such a node runs at the same time.")
    node_price_per_hour: float | None = Field(
        None, ge=0, description="Price of a node per hour, for estimates of costs."
    )
    node_price_currency: str = Field("EUR", description="Currency of `NODE_PRICE_PER_HOUR`.")
    job_retention_days: int = Field(7, ge=1, description="Age at which ended jobs are deleted, in days.")
