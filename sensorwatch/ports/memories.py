"""What models remember between scorings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

__all__ = ["Memories"]


class Memories(Protocol):
    """What models remember of the windows scored so far, apart from the models.

    The tables have a column ``sensor_id``, ascending, and one for each detector that remembers.
    """

    def load(self, shard: int, until: datetime) -> tuple[datetime, pa.Table] | None:
        """Return the newest memories that go no further than ``until`` (inclusive, UTC), with how far they go.

        None where there are none that can be read.
        """
        ...

    def save(self, shard: int, since: datetime, until: datetime, memories: pa.Table) -> None:
        """Keep memories that go up to ``until``, in place of others that do.

        Older ones may go, but for the newest that go no further than ``since``: a task that began there may be done
        again.
        """
        ...
