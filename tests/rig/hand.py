"""
Objects made by hand: workloads and routes that are not the operator's.
"""

from typing import Any

from apiserver.operator_world import MERGE, ROUTES
from rig.world import RigWorld


def make(world: RigWorld, name: str, version: str) -> str:
    """
    A Deployment of one pod and its Service, both of that name, which is returned.
    """
    labels = {"hand": name}
    spec = {"containers": [{"name": "model", "image": f"registry.example/hand:{version}"}]}
    template = {"metadata": {"labels": labels}, "spec": {**spec, "terminationGracePeriodSeconds": 1}}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    meta = {"metadata": {"name": name}}
    world.send("POST", world.path("/apis/apps/v1", "deployments"), {**meta, "spec": deployment})
    service = {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}
    world.send("POST", world.path("/api/v1", "services"), {**meta, "spec": service})
    return name


def rule(weights: dict[str, int], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """
    A rule of a route by weights.
    """
    return {"backendRefs": [{"name": name, "port": 80, "weight": weight} for name, weight in weights.items()], **more}


def put(world: RigWorld, route: str, *rules: dict[str, Any]) -> None:
    """
    Make the route, or replace its rules.
    """
    path = world.path(ROUTES, "httproutes", route)
    if world.server.send("GET", path, None).status == 404:
        body = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": route}}
        spec = {"parentRefs": [{"name": "gw"}], "rules": list(rules)}
        world.send("POST", world.path(ROUTES, "httproutes"), {**body, "spec": spec})
    else:
        world.send("PATCH", path, {"spec": {"rules": list(rules)}}, MERGE)
