"""The records that travel through the system, in the order in which the data meets them.

Scalars in time are aware :class:`~datetime.datetime` in UTC. Where there are many (windows, predictions) times are
integers: ``ticks`` are 100 ns since 1970-01-01T00:00:00Z, the resolution of the messages; ``end`` of a window is in
whole seconds since then.
"""

from sensorwatch.records.alerts import (
    FAILING_AFTER,
    Alert,
    AlertChanges,
    AlertKind,
    AlertState,
    Anomaly,
    ClaimedNotification,
    Incident,
    Notification,
    PublishOutcome,
    SinkStatus,
)
from sensorwatch.records.ingestion import (
    REPLAY_PREFIX,
    DeadLetter,
    IngestCounts,
    IngestMark,
    Partition,
    PartitionStatus,
    RawEvent,
    Reading,
    Rejected,
    Replay,
    SensorKey,
    Window,
)
from sensorwatch.records.models import (
    ModelRef,
    SensorState,
    SensorStatus,
    TrainingOutcome,
    WindowColumns,
)
from sensorwatch.records.runs import (
    JobStatus,
    Kind,
    Run,
    RunSummary,
    ShardActivity,
    TaskResult,
    TaskSpec,
    TaskState,
    TaskSummary,
)

__all__ = [
    "FAILING_AFTER",
    "REPLAY_PREFIX",
    "Alert",
    "AlertChanges",
    "AlertKind",
    "AlertState",
    "Anomaly",
    "ClaimedNotification",
    "DeadLetter",
    "Incident",
    "IngestCounts",
    "IngestMark",
    "JobStatus",
    "Kind",
    "ModelRef",
    "Notification",
    "Partition",
    "PartitionStatus",
    "PublishOutcome",
    "RawEvent",
    "Reading",
    "Rejected",
    "Replay",
    "Run",
    "RunSummary",
    "SensorKey",
    "SensorState",
    "SensorStatus",
    "ShardActivity",
    "SinkStatus",
    "TaskResult",
    "TaskSpec",
    "TaskState",
    "TaskSummary",
    "TrainingOutcome",
    "Window",
    "WindowColumns",
]
