"""
Envoy's configuration from routes and endpoints: pure.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

Fields = dict[str, Any]
Address = tuple[str, int]

MILLION: Final = 1_000_000
CLUSTER_TYPE: Final = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS_TYPE: Final = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
ROUTES_TYPE: Final = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
HCM: Final = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER: Final = "envoy.extensions.filters.http.router.v3.Router"
ROUTES_NAME: Final = "routes"
EVERYTHING: Final[tuple[Fields, ...]] = ({},)
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def cluster_name(namespace: str, service: str, port: int = 80) -> str:
    """
    The cluster of a Service, which is also its name in the statistics: as Contour names them.
    """
    return f"{namespace}_{service}_{port}"


def seconds_of(duration: str) -> float:
    """
    A duration of the Gateway API (GEP-2257) in seconds.
    """
    return sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)(ms|[hms])", duration))


def clusters(names: Iterable[str], endpoints: Path) -> list[Fields]:
    """
    One cluster per name, its endpoints in a file of its own.
    """
    return [
        {
            "@type": CLUSTER_TYPE,
            "name": name,
            "alt_stat_name": name,
            "type": "EDS",
            "connect_timeout": "1s",
            "eds_cluster_config": {
                "eds_config": {
                    "resource_api_version": "V3",
                    "path_config_source": {"path": str(endpoints / f"{name}.json")},
                }
            },
        }
        for name in sorted(names)
    ]


def load_assignment(name: str, addresses: Iterable[Address]) -> Fields:
    """
    The endpoints of one cluster.
    """
    found = [
        {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
        for host, port in sorted(addresses)
    ]
    return {"@type": ENDPOINTS_TYPE, "cluster_name": name, "endpoints": [{"lb_endpoints": found}]}


def _match(wanted: Mapping[str, Any]) -> Fields:
    path = wanted.get("path") or {"type": "PathPrefix", "value": "/"}
    prefix = path["value"].rstrip("/")
    if path["type"] == "Exact":
        found: Fields = {"path": path["value"]}
    elif prefix:
        found = {"path_separated_prefix": prefix}
    else:
        found = {"prefix": "/"}
    headers = [{"name": h["name"], "string_match": {"exact": h["value"]}} for h in wanted.get("headers") or ()]
    return {**found, "headers": headers}


def _mirrors(namespace: str, rule: Mapping[str, Any]) -> list[Fields]:
    """
    In millionths: with Envoy's hundredths the same random number would choose backend and mirror, and bias both.
    """
    found = []
    for item in rule.get("filters") or ():
        if item["type"] != "RequestMirror":
            continue
        mirror = item["requestMirror"]
        fraction = mirror.get("fraction") or {"numerator": mirror.get("percent", 100), "denominator": 100}
        part = fraction["numerator"] * MILLION // fraction.get("denominator", 100)
        found.append({
            "cluster": cluster_name(namespace, mirror["backendRef"]["name"], mirror["backendRef"].get("port", 80)),
            "runtime_fraction": {"default_value": {"numerator": part, "denominator": "MILLION"}},
        })  # fmt: skip
    return found


def _action(namespace: str, rule: Mapping[str, Any], services: frozenset[str]) -> Fields:
    """
    Where a rule leads: to its backends by weight. The share of a backend that does not exist gets 500, as it must.
    """
    backends = rule.get("backendRefs") or ()
    total = sum(backend.get("weight", 1) for backend in backends)
    if total == 0 or not any(backend["name"] in services for backend in backends):
        return {"direct_response": {"status": 500}}
    weighted = [
        {
            "name": cluster_name(namespace, backend["name"], backend.get("port", 80)),
            "weight": backend.get("weight", 1),
        }
        for backend in backends
    ]
    timeout = (rule.get("timeouts") or {}).get("request")
    return {
        "route": {
            "weighted_clusters": {"clusters": weighted},
            "request_mirror_policies": _mirrors(namespace, rule),
            "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR",
            **({} if timeout is None else {"timeout": f"{seconds_of(timeout):g}s"}),
        }
    }


def _precedence(entry: tuple[Fields, Fields]) -> tuple[bool, int, int]:
    """
    The Gateway API's order: an exact path first, then the longer one, then more headers; the older route otherwise.
    """
    found = entry[0]
    path = found.get("path") or found.get("path_separated_prefix") or ""
    return "path" not in found, -len(path), -len(found["headers"])


def _entries(routes: Sequence[Mapping[str, Any]], services: frozenset[str]) -> Iterator[tuple[str, Fields, Fields]]:
    for route in routes:
        for host in route["spec"].get("hostnames") or ("*",):
            for rule in route["spec"].get("rules") or ():
                action = _action(route["metadata"]["namespace"], rule, services)
                for wanted in rule.get("matches") or EVERYTHING:
                    yield host, _match(wanted), action


def route_configuration(routes: Sequence[Mapping[str, Any]], services: frozenset[str]) -> Fields:
    """
    All routes, oldest first, as one configuration; `services` are the names of those that exist.
    """
    hosts: dict[str, list[tuple[Fields, Fields]]] = {}
    for host, found, action in _entries(routes, services):
        hosts.setdefault(host, []).append((found, action))
    virtual = [
        {
            "name": host,
            "domains": ["*"] if host == "*" else [host, f"{host}:*"],
            "routes": [{"match": found, **action} for found, action in sorted(entries, key=_precedence)],
        }
        for host, entries in sorted(hosts.items())
    ]
    return {"@type": ROUTES_TYPE, "name": ROUTES_NAME, "virtual_hosts": virtual}


def bootstrap(folder: Path, port: int, admin_port: int) -> Fields:
    """
    A listener whose routes, clusters and endpoints are files under `folder`.
    """
    source = {"resource_api_version": "V3", "path_config_source": {"path": str(folder / "rds.json")}}
    connections = {
        "@type": f"type.googleapis.com/{HCM}",
        "stat_prefix": "rig",
        "codec_type": "AUTO",
        "stream_idle_timeout": "0s",
        "rds": {"route_config_name": ROUTES_NAME, "config_source": source},
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"type.googleapis.com/{ROUTER}"}}
        ],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": connections}]
    return {
        "node": {"id": "rig", "cluster": "rig"},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin_port}}},
        "dynamic_resources": {
            "cds_config": {"resource_api_version": "V3", "path_config_source": {"path": str(folder / "cds.json")}}
        },
        "static_resources": {
            "listeners": [
                {
                    "name": "rig",
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                    "filter_chains": [{"filters": filters}],
                }
            ]
        },
    }
