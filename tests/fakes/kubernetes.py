"""
A cluster in memory: ports Deployments, Workloads, Routes and EventSink under the contracts of the real adapters.

What happens is the truth; what was heard of it is what the synchronous methods answer. A deaf cluster hears only its
own writes until it catches up. Pods, gateways and strangers act when a test says so.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count
from typing import Any

from modelramp.api.document import revision_of, traffic_hash
from modelramp.api.names import workload_name
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.api.vocabulary import API_VERSION, KIND
from modelramp.ports import Announcement, ConflictError, Document, GoneError, Key, Owner, PodTimes, RefusedError
from modelramp.rollout.observed import Acceptance, Arm, CohortRoute, RouteState
from modelramp.rollout.plan import DeleteWorkload, EnsureWorkload, RestartWorkload, ScaleWorkload, SetRole, SetTraffic

CONTROLLER = "projectcontour.io/gateway-controller"


def copied(document: Document) -> dict[str, Any]:
    """
    The document as it comes over the wire: through JSON, which is also three times as fast as `copy.deepcopy`.
    """
    copy: dict[str, Any] = json.loads(json.dumps(document))
    return copy


@dataclass(frozen=True, kw_only=True)
class FakePod:
    """
    A pod of a revision.
    """

    name: str
    born: float = 0.0
    ready: bool = True
    terminating: bool = False


@dataclass(frozen=True, kw_only=True)
class FakeWorkload:
    """
    A revision's Deployment, Service and pods.
    """

    owner_uid: str
    replicas: int
    role: str
    pods: tuple[FakePod, ...] = ()
    restart_id: str | None = None
    crash_looping: str | None = None
    out_of_memory: str | None = None
    asks: Mapping[str, Decimal] = field(default_factory=dict)
    unsettled: bool = False
    """The Deployment's controller has not seen the last change."""


@dataclass(frozen=True, kw_only=True)
class FakeRoute:
    """
    The object's route.
    """

    owner_uid: str | None
    version: int
    generation: int = 1
    shares: Mapping[str, Decimal] = field(default_factory=dict)
    mirrors: Mapping[str, Decimal] = field(default_factory=dict)
    compared: frozenset[str] = frozenset()
    cohort: CohortRoute | None = None
    traffic_hash: str | None = None
    writers: frozenset[str] = frozenset({"modelramp"})
    accepted: int = 0
    """The generation the gateway accepted last."""
    refused: str | None = None


Workloads = dict[Key, dict[str, FakeWorkload]]


class FakeCluster:
    """
    The truth, what was heard of it, and the hooks that disturb writes.
    """

    def __init__(self) -> None:
        """
        Begins empty, and hears everything.
        """
        self.documents: dict[Key, Document] = {}
        self.revisions: Workloads = {}
        self.route_objects: dict[Key, FakeRoute] = {}
        self.heard_documents: dict[Key, Document] = {}
        self.heard_revisions: Workloads = {}
        self.heard_routes: dict[Key, FakeRoute] = {}
        self.deaf = False
        self.before_write: Callable[[str], None] = lambda _what: None
        """Called with the name of each write before it happens; may raise."""
        self.after_write: Callable[[str], None] = lambda _what: None
        """The same after it happened; raising loses the answer."""
        self.writes: list[str] = []
        self.versions = count(1)
        self.uids = count(1)
        self.deployments = FakeDeployments(self)
        self.workloads = FakeWorkloads(self)
        self.routes = FakeRoutes(self)
        self.events = FakeEvents(self)

    def catch_up(self) -> None:
        """
        Hear everything that happened.
        """
        self.heard_documents = dict(self.documents)
        self.heard_revisions = {key: dict(workloads) for key, workloads in self.revisions.items()}
        self.heard_routes = dict(self.route_objects)

    def happened(self) -> None:
        """
        Something happened that was not our write.
        """
        if not self.deaf:
            self.catch_up()

    def write(self, what: str, effect: Callable[[], None]) -> None:
        """
        One write of ours.
        """
        self.before_write(what)
        effect()
        self.writes.append(what)
        self.after_write(what)

    # ------------------------------------------------------------ what users do

    def put(self, key: Key, spec: Mapping[str, Any], annotations: Mapping[str, str] | None = None) -> Owner:
        """
        Create the object, or change its spec and annotations.
        """
        before = self.documents.get(key)
        metadata = before["metadata"] if before else {"uid": f"uid-{next(self.uids)}", "generation": 0}
        changed = before is None or before["spec"] != spec
        self.documents[key] = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "name": key.name,
                "namespace": key.namespace,
                "uid": metadata["uid"],
                "generation": metadata["generation"] + (1 if changed else 0),
                "resourceVersion": str(next(self.versions)),
                "annotations": dict(annotations or {}),
            },
            "spec": copied(dict(spec)),
            **({"status": before["status"]} if before and "status" in before else {}),
        }
        self.happened()
        return Owner(key=key, uid=metadata["uid"])

    def remove(self, key: Key, *, collect: bool = True) -> None:
        """
        Delete the object; with everything it owns, as the garbage collector does a moment later, unless not `collect`.
        """
        self.documents.pop(key, None)
        if collect:
            self.revisions.pop(key, None)
            self.route_objects.pop(key, None)
        self.happened()

    # ------------------------------------------------------------ what nodes do

    def run_pods(self, key: Key, revision: str, *pods: FakePod) -> None:
        """
        These are the revision's pods now.
        """
        self._change(key, revision, pods=pods)

    def settle(self, key: Key, *, now: float = 0.0) -> None:
        """
        Every revision has the pods its Deployment asks for, all ready.
        """
        for revision, workload in self.revisions.get(key, {}).items():
            name = workload_name(key.name, revision)
            pods = [FakePod(name=f"{name}-{index}", born=now) for index in range(workload.replicas)]
            kept = {pod.name: pod for pod in workload.pods}
            running = tuple(replace(kept.get(pod.name, pod), ready=True) for pod in pods)
            self._change(key, revision, pods=running, unsettled=False)

    def ail(
        self, key: Key, revision: str, *, crash_looping: str | None = None, out_of_memory: str | None = None
    ) -> None:
        """
        Containers of the revision crash, or are killed for memory; None: they do not.
        """
        self._change(key, revision, crash_looping=crash_looping, out_of_memory=out_of_memory)

    def _change(self, key: Key, revision: str, **changes: Any) -> None:  # noqa: ANN401 - fields of FakeWorkload
        self.revisions[key][revision] = replace(self.revisions[key][revision], **changes)
        self.happened()

    # ------------------------------------------------------------ what gateways and strangers do

    def _route(self, key: Key, **changes: Any) -> None:  # noqa: ANN401 - fields of FakeRoute
        self.route_objects[key] = replace(self.route_objects[key], version=next(self.versions), **changes)
        self.happened()

    def accept(self, key: Key) -> None:
        """
        The gateway accepts the route as it is now.
        """
        self._route(key, accepted=self.route_objects[key].generation, refused=None)

    def refuse(self, key: Key, message: str) -> None:
        """
        The gateway refuses the route as it is now.
        """
        self._route(key, refused=message)

    def stranger_route(self, key: Key, writer: str) -> None:
        """
        Somebody makes a route of the object's name.
        """
        self.route_objects[key] = FakeRoute(owner_uid=None, version=next(self.versions), writers=frozenset({writer}))
        self.happened()

    def stranger_writes(self, key: Key, writer: str, shares: Mapping[str, Decimal]) -> None:
        """
        Somebody changes the weights of our route, and whatever else it does.
        """
        generation = self.route_objects[key].generation + 1
        self._route(
            key,
            shares=shares,
            mirrors={},
            compared=frozenset(),
            cohort=None,
            writers=frozenset({writer}),
            generation=generation,
        )


class FakeDeployments:
    """
    Port `Deployments`.
    """

    def __init__(self, cluster: FakeCluster) -> None:
        """
        A part of the cluster.
        """
        self._cluster = cluster

    def known(self, key: Key) -> Document | None:
        """
        As last heard of.
        """
        document = self._cluster.heard_documents.get(key)
        return copied(document) if document is not None else None

    async def read(self, key: Key) -> Document | None:
        """
        The truth.
        """
        cluster = self._cluster
        if key not in cluster.documents:
            cluster.heard_documents.pop(key, None)
            return None
        cluster.heard_documents[key] = cluster.documents[key]
        return copied(cluster.documents[key])

    async def commit(self, document: Document, status: Document) -> Document:
        """
        Write, if the document is still the present one.
        """
        metadata, cluster = document["metadata"], self._cluster
        key = Key(metadata["namespace"], metadata["name"])

        def write() -> None:
            present = cluster.documents.get(key)
            if present is None:
                cluster.heard_documents.pop(key, None)
                raise GoneError(f"{key} is gone")
            cluster.heard_documents[key] = present
            if present["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
                raise ConflictError(f"{key} has changed")
            if present.get("status") != status:
                version = {"resourceVersion": str(next(cluster.versions))}
                cluster.documents[key] = {
                    **present,
                    "metadata": {**present["metadata"], **version},
                    "status": copied(dict(status)),
                }
                cluster.heard_documents[key] = cluster.documents[key]

        cluster.write("commit", write)
        return copied(cluster.documents[key])


class FakeWorkloads:
    """
    Port `Workloads`.
    """

    def __init__(self, cluster: FakeCluster) -> None:
        """
        A part of the cluster.
        """
        self._cluster = cluster

    def arms(self, key: Key) -> Mapping[str, Arm]:
        """
        As last heard of.
        """
        uid = (self._cluster.heard_documents.get(key) or {"metadata": {"uid": None}})["metadata"]["uid"]
        return {
            revision: Arm(
                revision=revision,
                wanted_replicas=workload.replicas,
                pods=len(workload.pods),
                ready=sum(pod.ready and not pod.terminating for pod in workload.pods),
                role=workload.role,
                restart_id=workload.restart_id,
                crash_looping=workload.crash_looping,
                out_of_memory=workload.out_of_memory,
                terminating=sum(pod.terminating for pod in workload.pods),
                settled=not workload.unsettled,
                asks=workload.asks,
            )
            for revision, workload in self._cluster.heard_revisions.get(key, {}).items()
            if uid in {None, workload.owner_uid}
        }

    def pod_times(self, key: Key) -> PodTimes:
        """
        As last heard of.
        """
        workloads = self._cluster.heard_revisions.get(key, {}).values()
        pods = [pod for workload in workloads for pod in workload.pods]
        return PodTimes(
            born={pod.name: pod.born for pod in pods},
            started={pod.name: (pod.born,) if pod.ready else () for pod in pods},
        )

    async def ensure(self, owner: Owner, spec: MLModelDeploymentSpec, effect: EnsureWorkload) -> None:
        """
        The revision exists; a template with two containers of one name is refused.
        """
        names = [container.name for container in spec.serving.template.spec.containers]
        if len(names) != len(set(names)):
            raise RefusedError("spec.template.spec.containers[1].name: Duplicate value")
        assert effect.revision == revision_of(spec), "only the spec's own revision can be made"

        def write() -> None:
            present = self._cluster.revisions.setdefault(owner.key, {}).get(effect.revision)
            pods = present.pods if present is not None and present.owner_uid == owner.uid else ()
            self._keep(
                owner,
                effect.revision,
                FakeWorkload(
                    owner_uid=owner.uid,
                    replicas=effect.replicas,
                    role=effect.role.value,
                    pods=pods,
                    unsettled=True,
                ),
            )

        self._cluster.write(f"ensure {effect.revision}", write)

    async def scale(self, owner: Owner, effect: ScaleWorkload) -> None:
        """
        The number asked for changes; pods follow when the test says so.
        """

        def write() -> None:
            present = self._present(owner, effect)
            unsettled = present.unsettled or present.replicas != effect.replicas
            self._keep(owner, effect.revision, replace(present, replicas=effect.replicas, unsettled=unsettled))

        self._cluster.write(f"scale {effect.revision}", write)

    async def set_role(self, owner: Owner, effect: SetRole) -> None:
        """
        The label changes.
        """

        def write() -> None:
            self._keep(owner, effect.revision, replace(self._present(owner, effect), role=effect.role.value))

        self._cluster.write(f"set_role {effect.revision}", write)

    async def restart(self, owner: Owner, effect: RestartWorkload) -> None:
        """
        The template carries the request; pods follow when the test says so.
        """

        def write() -> None:
            self._keep(owner, effect.revision, replace(self._present(owner, effect), restart_id=effect.restart_id))

        self._cluster.write(f"restart {effect.revision}", write)

    async def delete(self, owner: Owner, effect: DeleteWorkload) -> None:
        """
        Deployment, Service and pods are gone.
        """

        def write() -> None:
            self._cluster.revisions.get(owner.key, {}).pop(effect.revision, None)
            self._cluster.heard_revisions.get(owner.key, {}).pop(effect.revision, None)

        self._cluster.write(f"delete {effect.revision}", write)

    def _present(self, owner: Owner, effect: ScaleWorkload | SetRole | RestartWorkload) -> FakeWorkload:
        present = self._cluster.revisions.get(owner.key, {}).get(effect.revision)
        if present is None:
            raise GoneError(f"{workload_name(owner.key.name, effect.revision)} is gone")
        return present

    def _keep(self, owner: Owner, revision: str, workload: FakeWorkload) -> None:
        """
        The truth, and the answer to our own write, which tells nothing new of the pods.
        """
        self._cluster.revisions.setdefault(owner.key, {})[revision] = workload
        heard = self._cluster.heard_revisions.setdefault(owner.key, {})
        heard[revision] = replace(workload, pods=heard[revision].pods if revision in heard else ())


class FakeRoutes:
    """
    Port `Routes`.
    """

    def __init__(self, cluster: FakeCluster) -> None:
        """
        A part of the cluster.
        """
        self._cluster = cluster

    def state(self, key: Key) -> RouteState:
        """
        As last heard of.
        """
        route = self._cluster.heard_routes.get(key)
        if route is None:
            return RouteState()
        if route.refused is not None:
            acceptance = Acceptance.REFUSED
        elif route.accepted >= route.generation:
            acceptance = Acceptance.ACCEPTED
        else:
            acceptance = Acceptance.PENDING
        spoken = route.accepted > 0 or route.refused is not None
        return RouteState(
            acceptance=acceptance,
            shares=dict(route.shares),
            mirrors=dict(route.mirrors),
            compared=route.compared,
            cohort=route.cohort,
            message=route.refused or ("" if acceptance is Acceptance.ACCEPTED else "the gateway has not answered yet"),
            contested_by=self._contested_by(key, route),
            traffic_hash=route.traffic_hash,
            controller=CONTROLLER if spoken else None,
        )

    async def set_traffic(self, owner: Owner, spec: MLModelDeploymentSpec, effect: SetTraffic) -> None:
        """
        The route gives these shares.
        """
        assert sum(effect.shares.values()) == 100, "shares are a whole"
        shared = sum(percent > 0 for percent in effect.shares.values()) > 1
        if shared and any(percent < 100 for percent in effect.mirrors.values()):
            raise RefusedError("a part of the requests cannot be copied while they are split")
        spoken = self.state(owner.key).controller is not None
        if spoken and any(percent < 100 for percent in effect.mirrors.values()):
            raise RefusedError("the gateway copies all requests, whatever the percentage")
        self._cluster.write("set_traffic", lambda: self._write(owner, traffic_hash(spec), effect))

    def _write(self, owner: Owner, wanted: str, effect: SetTraffic) -> None:
        cluster, key = self._cluster, owner.key
        heard, present = cluster.heard_routes.get(key), cluster.route_objects.get(key)
        try:
            self._check(owner, effect, heard, present)
        except ConflictError:
            cluster.heard_routes = {**cluster.heard_routes, key: present} if present else cluster.heard_routes
            if present is None:
                cluster.heard_routes.pop(key, None)
            raise
        before = present or FakeRoute(owner_uid=owner.uid, version=0, generation=0)
        asked = (effect.shares, effect.mirrors, effect.compared, effect.cohort, wanted)
        changed = (before.shares, before.mirrors, before.compared, before.cohort, before.traffic_hash) != asked
        if changed or before.writers != {"modelramp"}:
            cluster.route_objects[key] = replace(
                before,
                shares=dict(effect.shares),
                mirrors=dict(effect.mirrors),
                compared=effect.compared,
                cohort=effect.cohort,
                traffic_hash=wanted,
                writers=frozenset({"modelramp"}),
                generation=before.generation + (1 if changed else 0),
                version=next(cluster.versions),
                refused=None if changed else before.refused,
            )
        cluster.heard_routes[key] = cluster.route_objects[key]

    def _check(self, owner: Owner, effect: SetTraffic, heard: FakeRoute | None, present: FakeRoute | None) -> None:
        if (heard is None) != (present is None):
            raise ConflictError("the route is not the one last heard of")
        if heard is None or present is None:
            return
        if owner.uid not in {heard.owner_uid} & {present.owner_uid}:
            raise ConflictError(f"not ours: {self._contested_by(owner.key, present)}")
        if effect.raises_exposure and heard.version != present.version:
            raise ConflictError("the route has changed")
        others = present.writers - {"modelramp"}
        if effect.raises_exposure and others and present.shares != effect.shares:
            raise ConflictError(f"conflict with {', '.join(sorted(others))}")

    def _contested_by(self, key: Key, route: FakeRoute) -> str | None:
        document = self._cluster.heard_documents.get(key)
        others = " and ".join(sorted(route.writers - {"modelramp"})) or None
        if document is not None and route.owner_uid == document["metadata"]["uid"]:
            return others
        return f"{others or 'somebody else'}, who made an HTTPRoute of this name"

    async def drop_former(self, owner: Owner) -> None:
        """
        Here an object has one router in its life.
        """


class FakeEvents:
    """
    Port `EventSink`; what was recorded is in `recorded`.
    """

    def __init__(self, cluster: FakeCluster) -> None:
        """
        A part of the cluster.
        """
        self._cluster = cluster
        self.recorded: list[tuple[Owner, Announcement]] = []
        self._said: set[tuple[str, str, str, str]] = set()

    async def announce(self, owner: Owner, announcement: Announcement) -> None:
        """
        Record it once.
        """
        document = self._cluster.documents.get(owner.key, {})
        generation = document.get("metadata", {}).get("generation", "")
        status = document.get("status", {})
        occasion = f"{generation}/{status.get('phaseSince', '')}/{status.get('step')}"
        said = (owner.uid, occasion, announcement.reason, announcement.note)
        if said not in self._said:
            self._said.add(said)
            self.recorded.append((owner, announcement))
