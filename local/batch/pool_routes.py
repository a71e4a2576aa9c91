"""Routes of pools and their nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from local.batch.autoscale import FormulaError
from local.batch.bodies import parse_body, pool_spec, scaling_interval
from local.batch.documents import (
    node_document,
    pool_document,
    timestamp,
)
from local.batch.errors import bad_property, conflict, not_found
from local.batch.odata import keep
from local.batch.pools import describe_results, parse_formula
from local.batch.records import PoolRecord
from local.batch.resources import Resources, created
from local.batch.web import answer, check_match, listing, read_body

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


__all__ = ["Pools"]

_NODE_STATES = ("creating", "idle", "leavingPool", "offline", "preempted", "rebooting", "reimaging", "running")
_MORE_NODE_STATES = ("starting", "startTaskFailed", "unknown", "unusable", "waitingForStartTask", "total")


class Pools(Resources):
    """Routes of pools and their nodes."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        one = "/pools/{pool}"
        return [
            Route("/pools", self._create, methods=["POST"]),
            Route("/pools", self._list),
            Route(one, self._get),
            Route(one, self._update, methods=["PATCH"]),
            Route(one, self._delete, methods=["DELETE"]),
            Route(f"{one}/enableautoscale", self._enable_autoscale, methods=["POST"]),
            Route(f"{one}/disableautoscale", self._disable_autoscale, methods=["POST"]),
            Route(f"{one}/evaluateautoscale", self._evaluate_autoscale, methods=["POST"]),
            Route(f"{one}/resize", self._resize, methods=["POST"]),
            Route(f"{one}/stopresize", self._stop_resize, methods=["POST"]),
            Route(f"{one}/nodes", self._list_nodes),
            Route(f"{one}/nodes/{{node}}", self._get_node),
            Route("/nodecounts", self._count_nodes),
        ]

    async def _create(self, request: Request) -> Response:
        document = parse_body(await read_body(request))
        spec = pool_spec(document)
        existing = self.state.find_pool(spec.id)
        if existing is not None:
            raise conflict("PoolExists" if existing.state == "active" else "PoolBeingDeleted")
        now = self.scheduler.clock()
        pool = PoolRecord(
            spec=spec,
            document=document,
            created=now,
            modified=now,
            state_since=now,
            resized=now,
            target_dedicated=0,
            target_low_priority=0,
        )
        self.scheduler.scaler(pool).set_targets(spec.target_dedicated_nodes, spec.target_low_priority_nodes, "requeue")
        self.state.save(pool)
        self.scheduler.wake()
        return created(f"{self.account.url}/pools/{spec.id}", pool)

    async def _list(self, request: Request) -> Response:
        pools = sorted(self.state.pools(), key=lambda pool: (pool.created, pool.spec.id))
        entries = [(number, pool_document(pool, self.account)) for number, pool in enumerate(pools)]
        return listing(request, self.account.url, "pools", entries)

    async def _get(self, request: Request) -> Response:
        pool = self.pool_of(request)
        check_match(request, pool)
        return answer(200, keep(pool_document(pool, self.account), request.query_params.get("$select")), pool)

    async def _update(self, request: Request) -> Response:
        pool = self._active_pool(request)
        changes = parse_body(await read_body(request))
        allowed = {"displayName", "metadata", "taskSchedulingPolicy", "taskSlotsPerNode"}
        if other := sorted(changes.keys() - allowed):
            raise bad_property(other[0], changes[other[0]], f"only {', '.join(sorted(allowed))} can be changed here")
        self._change(pool, pool.document | changes)
        return answer(200, record=pool)

    async def _delete(self, request: Request) -> Response:
        pool = self._active_pool(request)
        pool.state, pool.state_since = "deleting", self.scheduler.clock()
        self._save(pool)
        return answer(202)

    async def _enable_autoscale(self, request: Request) -> Response:
        pool = self._active_pool(request)
        changes = parse_body(await read_body(request))
        if changes.keys().isdisjoint({"autoScaleFormula", "autoScaleEvaluationInterval"}):
            raise bad_property("autoScaleFormula", None, "expected a formula, an interval, or both")
        without = {"targetDedicatedNodes", "targetLowPriorityNodes"}
        document = {name: value for name, value in pool.document.items() if name not in without}
        self._change(pool, document | changes | {"enableAutoScale": True})
        self.scheduler.scaler(pool).forget_evaluation()
        return answer(200, record=pool)

    async def _disable_autoscale(self, request: Request) -> Response:
        pool = self._active_pool(request)
        self._change(pool, pool.document | {"enableAutoScale": False})
        return answer(200, record=pool)

    async def _evaluate_autoscale(self, request: Request) -> Response:
        pool = self._active_pool(request)
        if not pool.spec.enable_auto_scale:
            raise conflict("PoolNotAutoScaled")
        formula = parse_formula(parse_body(await read_body(request)).get("autoScaleFormula"))
        self.scheduler.count_tasks(pool)
        document: dict[str, Any] = {"timestamp": timestamp(self.scheduler.clock()), "results": ""}
        try:
            document["results"] = describe_results(self.scheduler.scaler(pool).evaluate(formula))
        except FormulaError as exc:
            document["error"] = {"code": "AutoScalingFormulaEvaluationError", "message": str(exc)}
        return answer(200, document, pool)

    async def _resize(self, request: Request) -> Response:
        pool = self._active_pool(request)
        if pool.spec.enable_auto_scale:
            raise conflict("OperationNotValidOnPool")
        changes = parse_body(await read_body(request))
        targets = [changes.get("targetDedicatedNodes"), changes.get("targetLowPriorityNodes")]
        for target in targets:
            if target is not None and (not isinstance(target, int) or target < 0):
                raise bad_property("targetDedicatedNodes", target, "expected a whole number, 0 or more")
        option = str(changes.get("nodeDeallocationOption", "requeue"))
        self.scheduler.scaler(pool).set_targets(targets[0], targets[1], option)
        self._save(pool)
        return answer(202, record=pool)

    async def _stop_resize(self, request: Request) -> Response:
        pool = self._active_pool(request)
        staying = [node.dedicated for node in pool.nodes if node.state != "leavingpool"]
        self.scheduler.scaler(pool).set_targets(staying.count(True), staying.count(False), pool.deallocation)
        self._save(pool)
        return answer(202, record=pool)

    async def _list_nodes(self, request: Request) -> Response:
        pool = self.pool_of(request)
        running = self.scheduler.running_on(pool)
        documents = [node_document(pool, node, running.get(node.id, []), self.account) for node in pool.nodes]
        return listing(request, self.account.url, "nodes", enumerate(documents))

    async def _get_node(self, request: Request) -> Response:
        pool = self.pool_of(request)
        for node in pool.nodes:
            if node.id == request.path_params["node"]:
                running = self.scheduler.running_on(pool).get(node.id, [])
                return answer(200, node_document(pool, node, running, self.account))
        raise not_found("Node")

    async def _count_nodes(self, request: Request) -> Response:
        documents = []
        for pool in self.state.pools():
            kinds = {}
            for kind, dedicated in (("dedicated", True), ("lowPriority", False)):
                counts = dict.fromkeys((*_NODE_STATES, *_MORE_NODE_STATES), 0)
                for node in pool.nodes:
                    if node.dedicated is dedicated:
                        counts["leavingPool" if node.state == "leavingpool" else node.state] += 1
                        counts["total"] += 1
                kinds[kind] = counts
            documents.append({"poolId": pool.spec.id, **kinds})
        return listing(request, self.account.url, "poolnodecounts", enumerate(documents))

    def _active_pool(self, request: Request) -> PoolRecord:
        pool = self.pool_of(request)
        if pool.state == "deleting":
            raise conflict("PoolBeingDeleted")
        check_match(request, pool)
        return pool

    def _change(self, pool: PoolRecord, document: dict[str, Any]) -> None:
        spec = pool_spec(document)
        if spec.enable_auto_scale:
            scaling_interval(spec.auto_scale_evaluation_interval)
        pool.spec, pool.document = spec, document
        self._save(pool)

    def _save(self, pool: PoolRecord) -> None:
        pool.modified = self.scheduler.clock()
        self.state.save(pool)
        self.scheduler.wake()
