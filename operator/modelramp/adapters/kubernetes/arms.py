"""
From remembered Deployments, Pods and EndpointSlices to what the core calls an arm: pure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from modelramp.adapters.kubernetes.projection import LABEL_SERVICE
from modelramp.api.names import ANNOTATION_RESTART, LABEL_REVISION, LABEL_ROLE
from modelramp.api.quantities import demand_of
from modelramp.ports import Document, PodTimes
from modelramp.rollout.observed import Arm

CRASH_LOOP: Final = "CrashLoopBackOff"
OUT_OF_MEMORY: Final = "OOMKilled"
UNSCHEDULABLE: Final = "Unschedulable"
RESTARTS: Final = (
    3  # the kubelet's back-off is then at 40 s, so waiting for CrashLoopBackOff to be seen may take longer
)
_FINISHED: Final = frozenset({"Succeeded", "Failed"})  # evicted pods stay as objects and run nothing


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


def _label(document: Document, name: str) -> str | None:
    value: str | None = (document["metadata"].get("labels") or {}).get(name)
    return value


def living(pods: Iterable[Document], revision: str) -> tuple[Document, ...]:
    """
    The revision's pods that exist and may still run something, also while they terminate.
    """
    return tuple(
        pod for pod in pods if _label(pod, LABEL_REVISION) == revision and pod["status"].get("phase") not in _FINISHED
    )


def _is_ready(endpoint: Mapping[str, Any]) -> bool:
    """
    Whether traffic may be sent there; the API defines an absent `ready` as true and an absent `terminating` as false.
    """
    conditions = endpoint.get("conditions") or {}
    return conditions.get("ready") is not False and conditions.get("terminating") is not True


def _identity(endpoint: Mapping[str, Any]) -> str:
    """
    One pod has an endpoint per address family, in different slices.
    """
    return (endpoint.get("targetRef") or {}).get("uid") or ",".join(endpoint.get("addresses") or ())


def ready_pods(slices: Iterable[Document], service: str) -> frozenset[str]:
    """
    The pods the Service can send to, by whatever tells them apart.
    """
    of_service = (piece for piece in slices if _label(piece, LABEL_SERVICE) == service)
    return frozenset(_identity(end) for piece in of_service for end in piece["endpoints"] if _is_ready(end))


def ready_endpoints(slices: Iterable[Document], service: str) -> int:
    """
    How many pods the Service can send to.
    """
    return len(ready_pods(slices, service))


def _containers(pods: Iterable[Document]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for pod in pods:
        for group in ("initContainerStatuses", "containerStatuses"):
            for container in pod["status"][group]:
                yield pod["metadata"]["name"], container


def _ends(container: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """
    How the container ended, the present end first; empty: it never did.
    """
    states = (container.get("state") or {}, container.get("lastState") or {})
    return tuple(state["terminated"] for state in states if state.get("terminated"))


def _crashes(pods: Iterable[Document]) -> Iterator[str]:
    for pod, container in _containers(pods):
        waiting = ((container.get("state") or {}).get("waiting") or {}).get("reason")
        ends = _ends(container)
        if waiting == CRASH_LOOP or container.get("restartCount", 0) >= RESTARTS:
            last = f", last exit code {ends[0].get('exitCode')} ({ends[0].get('reason', 'no reason')})" if ends else ""
            yield f"container {container['name']} of pod {pod} keeps crashing{last}"


def _out_of_memory(pods: Iterable[Document]) -> Iterator[str]:
    for pod, container in _containers(pods):
        for end in _ends(container):
            if end.get("reason") == OUT_OF_MEMORY:
                code = end.get("exitCode")
                yield f"container {container['name']} of pod {pod} was killed for memory, exit code {code}"


def _restart_id(deployment: Document) -> str | None:
    template = (deployment["spec"].get("template") or {}).get("metadata") or {}
    found: str | None = (template.get("annotations") or {}).get(ANNOTATION_RESTART)
    return found


def _unschedulable(pods: Iterable[Document]) -> Iterator[str]:
    for pod in pods:
        for condition in pod["status"].get("conditions") or ():
            if condition.get("status") == "False" and condition.get("reason") == UNSCHEDULABLE:
                yield f"pod {pod['metadata']['name']} finds no node: {condition.get('message') or 'no reason given'}"


def _settled(deployment: Document) -> bool:
    """
    The Deployment's controller has seen the last change; an object that tells no generation is taken at its word.
    """
    generation = deployment["metadata"].get("generation")
    return generation is None or (deployment.get("status") or {}).get("observedGeneration") == generation


def _asks(deployment: Document) -> Mapping[str, Decimal]:
    pod = (deployment["spec"].get("template") or {}).get("spec") or {}
    containers = [*(pod.get("containers") or ()), *(pod.get("initContainers") or ())]
    resources = [container.get("resources") or {} for container in containers]
    names = {name for one in resources for part in ("limits", "requests") for name in one.get(part) or {}}
    return {name: demand_of(pod, name) for name in sorted(names)}


def arm_of(deployment: Document, pods: Iterable[Document], slices: Iterable[Document]) -> Arm:
    """
    One revision as it is. Pods and slices may be of all revisions.
    """
    revision = _label(deployment, LABEL_REVISION) or ""
    own = living(pods, revision)
    staying = [pod for pod in own if "deletionTimestamp" not in pod["metadata"]]
    leaving = len(own) - len(staying)
    counted = (deployment.get("status") or {}).get("replicas") or 0
    return Arm(
        revision=revision,
        wanted_replicas=deployment["spec"].get("replicas", 1),
        # Whichever of the two watches is behind: pods that are there are counted.
        pods=max(len(own), counted + leaving),
        terminating=leaving,
        settled=_settled(deployment),
        asks=_asks(deployment),
        unschedulable=next(_unschedulable(staying), None),
        ready=ready_endpoints(slices, deployment["metadata"]["name"]),
        role=_label(deployment, LABEL_ROLE),
        restart_id=_restart_id(deployment),
        crash_looping=next(_crashes(staying), None),
        out_of_memory=next(_out_of_memory(staying), None),
    )


def _starts(pod: Document) -> tuple[float, ...]:
    """
    When the pod's first container started: the run that ended last and the present one, as far as they are known.
    """
    first = [container["name"] for container in pod["spec"]["containers"]]
    instants = set()
    for container in pod["status"]["containerStatuses"]:
        if container["name"] in first:
            runs = [(container.get("state") or {}).get("running") or {}, *_ends(container)]
            instants |= {_seconds(run["startedAt"]) for run in runs if run.get("startedAt")}
    return tuple(sorted(instants))


def pod_times(pods: Sequence[Document]) -> PodTimes:
    """
    Births and starts of all pods given.
    """
    return PodTimes(
        born={pod["metadata"]["name"]: _seconds(pod["metadata"]["creationTimestamp"]) for pod in pods},
        started={pod["metadata"]["name"]: _starts(pod) for pod in pods},
    )
