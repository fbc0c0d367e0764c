"""
Random documents of MLModelDeployment: valid ones, ones at the bounds, and valid ones with one or two things broken.
"""

import copy
import json
import re
from typing import Any, Final

from apiserver.values import (
    BUCKETS,
    CLOCKS,
    COMPARISONS,
    DEADLINES,
    DURATION_PRESETS,
    DURATIONS,
    EXTRACTS,
    GROWTHS,
    INSTANTS,
    LABELS,
    LIMITS,
    LONG_DURATIONS,
    LOOK_BACKS,
    NAMES,
    OTHER_RUNTIMES,
    OVERDISPERSIONS,
    POOLS,
    QUANTILES,
    RADII,
    RATE_PRESETS,
    SELECTORS,
    SHARES,
    SOAKS,
    SPANS,
    TOLERANCES,
    VERSIONS,
    WEEKDAYS,
    WRONG,
    Document,
    fullest,
    fullest_of_others,
)
from hypothesis import strategies as st

Path = tuple[str | int, ...]

_plain = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20)


def _maybe(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    """
    Objects with any subset of these fields.
    """
    return st.fixed_dictionaries({}, optional=optional)


def _with(required: Document, **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    return st.fixed_dictionaries(required, optional=optional)


def _picked(*values: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - JSON values
    return st.sampled_from(values)


def _key_ref() -> st.SearchStrategy[Document]:
    return st.fixed_dictionaries({"name": _picked(*NAMES), "key": _picked("a", "body.json", "x" * 253)})


def _container() -> st.SearchStrategy[Document]:
    return _with(
        {"name": _picked(*LABELS), "image": _picked("a", "reg.example:5000/m@sha256:abc", "i" * 512)},
        env=st.lists(st.fixed_dictionaries({"name": _picked("A", "B"), "value": _plain}), max_size=2),
        resources=_picked({"limits": {"cpu": "1", "nvidia.com/gpu": 1}}, {"requests": {"cpu": 0.5}}, {}),
        command=_picked(None, [], ["serve", "--port", "8080"]),
        futureField=_picked("x", 1, {"a": [None, {}]}),
    )


def _template() -> st.SearchStrategy[Document]:
    metadata = _maybe(
        labels=st.dictionaries(_picked("app", "team/x"), _picked("", "a", "x" * 63), max_size=2),
        annotations=st.dictionaries(_picked("note", "b"), _plain | st.just("x" * 4096), max_size=2),
    )
    pod = _with(
        {"containers": st.lists(_container(), min_size=1, max_size=3)},
        nodeSelector=_picked({"gpu": "a100"}),
        terminationGracePeriodSeconds=_picked(0, 600),
        securityContext=_picked(None, {"runAsNonRoot": True}),
    )
    return _with({"spec": pod}, metadata=metadata)


def _warm_up() -> st.SearchStrategy[Document]:
    body = st.fixed_dictionaries({"value": _plain}) | st.fixed_dictionaries({"configMapKeyRef": _key_ref()})
    return _with(
        {"path": _picked("/", "/v2/models/m/infer?x=1")},
        requests=_picked(1, 20, 200),
        body=body,
        p95Below=_picked(*DURATIONS),
    )


def _serving() -> st.SearchStrategy[Document]:
    ports = _picked(1, 8080, 65535)
    limit = _with({"limit": _picked(1, 8, 1_000_000)}, resource=_picked("nvidia.com/gpu", "cpu", "example.com/a.b_c"))
    names = st.lists(_picked(*NAMES), max_size=8, unique=True)
    common = {
        "replicas": _picked(1, 2, 1000),
        "warmUp": _warm_up(),
        "minReady": _picked(*DURATIONS),
        "capacity": _maybe(surge=_picked("Full", "Swap"), budget=limit),
        "drain": _maybe(preStop=_picked("0s", "5s", "1h"), timeout=_picked("0s", "1m500ms", "60m")),
        "config": st.tuples(names, _maybe(onChange=_picked("Rollout", "Ignore"))).map(
            lambda both: [{"configMap": name, **both[1]} for name in both[0]]
        ),
    }
    custom = _with({"port": ports, "template": _template()}, runtime=st.just("custom"), **common)
    known = _with({"runtime": _picked(*OTHER_RUNTIMES), "template": _template()}, port=ports, **common)
    return custom | known


def _traffic() -> st.SearchStrategy[Document]:
    parent = _with(
        {"name": _picked(*NAMES)}, namespace=_picked(*LABELS), sectionName=_picked("http", "a.b"), port=_picked(80)
    )
    gateway = _with(
        {"parentRefs": st.lists(parent, min_size=1, max_size=8)},
        hostnames=st.lists(_picked("a.example", "*.example.com", "localhost"), max_size=16),
        path=_picked("/", "/v1/models"),
        requestTimeout=_picked(*DURATIONS),
        kind=_picked("HTTPRoute", "GRPCRoute"),
    )
    service = _maybe(port=_picked(1, 80, 65535), drain=_picked(*DURATIONS))
    istio = _with(
        {"hosts": st.lists(_picked("fraud", "a.example", "*.example.com"), min_size=1, max_size=16)},
        gateways=st.lists(_picked("mesh", "infra/edge", "edge"), min_size=1, max_size=8),
        requestTimeout=_picked(*DURATIONS),
    )
    routers = {"gatewayAPI": gateway, "service": service, "istio": istio}
    return st.one_of(*(st.fixed_dictionaries({name: router}) for name, router in routers.items()))


def _steps() -> st.SearchStrategy[list[Document]]:
    shares = st.lists(_picked(*SHARES), min_size=1, max_size=8, unique_by=lambda share: float(share[:-1]))
    ordered = shares.map(lambda some: sorted(some, key=lambda share: float(share[:-1])))
    return ordered.flatmap(
        lambda some: st.tuples(*(_with({"traffic": st.just(share)}, soak=_picked(*SOAKS)) for share in some)).map(list)
    )


def _others() -> st.SearchStrategy[list[Document]]:
    """
    Other candidates, none of them with the spec's own model.
    """
    models = st.lists(
        _with({"version": _picked("w1", "w2", "w3")}), max_size=3, unique_by=lambda one: str(one["version"])
    )
    return models.map(lambda some: [{"name": f"o{number}", "model": model} for number, model in enumerate(some)])


def _compare() -> st.SearchStrategy[Document]:
    """
    How answers are compared; a tolerance goes with numbers.
    """
    common = {
        "extract": _picked(*EXTRACTS),
        "sample": _picked(*SHARES),
        "control": _picked("0.0001%", "10%", "50%", "50.0%"),
        "timeout": _picked("1ms", "5s", "5m", "1m500ms"),
        "concurrency": _picked(1, 16, 256),
    }
    numbers = _with({"as": st.just("Number")}, tolerance=_picked(*TOLERANCES), **common)
    return numbers | _maybe(**{"as": _picked(*COMPARISONS)}, **common)


def _strategy() -> st.SearchStrategy[Document]:
    """
    None, or one of the three; the times of any may exceed its deadline, of which both sides must say the same.
    """
    cohort = _maybe(header=_picked("x-team", "X_a.b"), value=_picked("a", "ml.1~"))
    preview = cohort | st.fixed_dictionaries({"hostname": _picked("preview", "p-1.preview.example")})
    times = {"soak": _picked(*SOAKS), "deadline": _picked(*DEADLINES)}
    shadow = _with(times, mirror=_picked(*SHARES), compare=_compare()) | _maybe(mirror=_picked(*SHARES))
    common = {"shadow": shadow, "blastRadius": _picked(*RADII), "soak": _picked(*SOAKS)}
    canary = _maybe(steps=_steps(), cohort=cohort, stepDeadline=_picked(*DEADLINES), **common)
    before = _maybe(soak=_picked(*SOAKS), approval=_picked("Required", "NotRequired"), smoke=_warm_up())
    whole = _steps().map(lambda some: [*some[:-1], {**some[-1], "traffic": "100%"}])
    rising = whole.filter(lambda some: len(some) == 1 or float(some[-2]["traffic"][:-1]) < 100)
    bakes = {"bake": _picked(*SOAKS), "stepDeadline": _picked(*DEADLINES)}
    blue_green = st.tuples(_maybe(steps=rising, preview=preview, preSwitch=before, **common), _with(bakes)).map(
        lambda both: {**both[0], **both[1]}
    )
    ends = {"onPassed": _picked("Report", "Promote"), "blastRadius": _picked(*RADII)}
    run = _with(times, mirror=_picked(*SHARES), compare=_compare(), **ends)
    run |= _maybe(mirror=_picked(*SHARES), others=_others(), **ends) | _with(times, others=_others(), **ends)
    others = {
        "progressDeadline": _picked(*DURATIONS),
        "scaleDownDelay": _picked(*DURATIONS),
        "keepRevisions": _picked(0, 5),
    }
    one = st.one_of(
        st.just({}),
        *(
            st.fixed_dictionaries({kind: form})
            for kind, form in zip(("canary", "blueGreen", "shadow"), (canary, blue_green, run), strict=True)
        ),
    )
    return st.tuples(one, _maybe(**others)).map(lambda both: {**both[0], **both[1]})


def _questions() -> st.SearchStrategy[Document]:
    """
    What may be asked of durations: nothing, or one thing.
    """
    growth = st.fixed_dictionaries({"quantile": _picked(*QUANTILES), "mayGrow": _picked(*GROWTHS)})
    limit = st.fixed_dictionaries({"quantile": _picked(*QUANTILES), "below": _picked(*SPANS)})
    return st.just({}) | growth | limit | st.fixed_dictionaries({"threshold": _picked(*SPANS)})


def _metric() -> st.SearchStrategy[Document]:
    """
    Any form, with what belongs to it; one of the user's own is named.
    """
    common = {"weight": _picked("Critical", "Normal")}
    origin = _picked("Gateway", "Runtime")
    against = st.fixed_dictionaries({"limit": _picked(*LIMITS)})
    names = {"name": _picked("a", "null-outputs", "x" * 63)}
    selectors = st.fixed_dictionaries({"bad": _picked(*SELECTORS), "total": _picked(*SELECTORS)})
    buckets = _with({"buckets": _picked(*BUCKETS)}, unit=_picked("Seconds", "Milliseconds", "Microseconds"))
    rate = _with({"preset": _picked(*RATE_PRESETS)}, **names, origin=origin, against=against, **common)
    ratio = _with({**names, "ratio": selectors}, against=against, **common)
    duration = _with({"preset": _picked(*DURATION_PRESETS)}, **names, origin=origin, **common)
    histogram = _with({**names, "histogram": buckets}, **common)
    asked = [st.tuples(form, _questions()).map(lambda both: {**both[0], **both[1]}) for form in (duration, histogram)]
    value = _with({"value": st.just("queue{$arm}")}, across=_picked("Sum", "Mean", "Max"))
    gauge = _with({**names, "gauge": value}, mayGrow=_picked(*GROWTHS), **common)
    return st.one_of(*asked, rate, ratio, gauge)


def _metrics() -> st.SearchStrategy[list[Document]]:
    return st.lists(_metric(), min_size=1, max_size=4, unique_by=lambda one: one.get("name") or one["preset"])


def _slices() -> st.SearchStrategy[Document]:
    values = st.lists(_picked("a", "b", "A", "é" * 63, " ", "x=1"), min_size=1, max_size=6, unique=True)
    return st.fixed_dictionaries({"label": _picked("tenant", "_", "x" * 63), "values": values})


def _analysis() -> st.SearchStrategy[Document]:
    basic = _with({"username": _picked("u", "x" * 253), "passwordSecretRef": _key_ref()})
    auth = st.fixed_dictionaries({"basic": basic}) | st.fixed_dictionaries(
        {"bearer": st.fixed_dictionaries({"secretRef": _key_ref()})}
    )
    prometheus = _maybe(
        address=_picked("http://p", "https://prometheus.monitoring:9090/a/b", "http://10.0.0.1:9090"),
        auth=auth,
        delay=_picked(*DURATIONS),
    )
    guardrails = _maybe(
        crashLoop=_picked("Rollback", "Ignore"),
        outOfMemory=_picked("Rollback", "Ignore"),
        notReadyFor=_picked(*DURATIONS),
    )
    others = {
        "mode": _picked("Evidence", "GuardrailsOnly"),
        "prometheus": prometheus,
        "interval": _picked(*LONG_DURATIONS),
        "slices": _slices(),
        "overdispersion": _picked(*OVERDISPERSIONS),
        "lookBack": _picked(*LOOK_BACKS),
        "onInconclusive": _picked("Pause", "Rollback", "Advance"),
        "onNoData": _picked("Pause", "Rollback"),
        "guardrails": guardrails,
    }
    # Metrics have the most forms: most documents have some.
    return st.fixed_dictionaries({"metrics": _metrics()}, optional=others) | _maybe(**others)


def _able(spec: Document) -> Document:
    """
    The spec without what its router cannot do whatever the cluster is.
    """
    router = spec["traffic"]
    kinds = {name: part for name, part in spec.get("strategy", {}).items() if name in {"canary", "blueGreen"}}
    spared = {name: part for name, part in spec.get("strategy", {}).items() if name not in kinds}
    if "istio" in router:
        kinds = {
            name: {key: value for key, value in part.items() if key != "steps" or _whole(value)}
            for name, part in kinds.items()
        }
        kinds = {
            name: {key: value for key, value in part.items() if key != "preview" or "hostname" not in value}
            for name, part in kinds.items()
        }
    if "service" in router or "routeRef" in router.get("gatewayAPI", {}):
        aside = {"shadow", "cohort", "preview"}
        kinds = {name: {k: v for k, v in part.items() if k not in aside} for name, part in kinds.items()}
        spared = {name: part for name, part in spared.items() if name != "shadow"}
        spec = {name: part for name, part in spec.items() if name != "useCase"}
    if "shadow" in spared and spec["serving"].get("capacity", {}).get("surge", "Full") != "Full":
        alone = {name: part for name, part in spared["shadow"].items() if name != "others"}
        spared = {**spared, "shadow": alone}
    return _comparable({**spec, "strategy": {**spared, **kinds}} if "strategy" in spec else spec)


def _comparable(spec: Document) -> Document:
    """
    The spec without a comparison where the router speaks gRPC; with one, and metrics, judged by disagreement too.
    """
    strategy = copy.deepcopy(spec.get("strategy", {}))
    stages = [strategy.get("shadow"), *(strategy.get(kind, {}).get("shadow") for kind in ("canary", "blueGreen"))]
    stages = [stage for stage in stages if stage is not None and "compare" in stage]
    if spec["traffic"].get("gatewayAPI", {}).get("kind") == "GRPCRoute":
        for stage in stages:
            del stage["compare"]
        return {**spec, "strategy": strategy} if stages else spec
    metrics = spec.get("analysis", {}).get("metrics", [])
    if not stages or not metrics:
        return spec
    added = [*(one for one in metrics if one.get("name") != "disagreement"), {"preset": "disagreement"}]
    return {**spec, "analysis": {**spec["analysis"], "metrics": added}}


def _whole(steps: list[Document]) -> bool:
    return all(float(step["traffic"][:-1]).is_integer() for step in steps)


def _automation() -> st.SearchStrategy[Document]:
    """
    Degrees, and freeze windows of both forms.
    """
    weekly = st.fixed_dictionaries(
        {"days": st.lists(_picked(*WEEKDAYS), min_size=1, max_size=7), "from": _picked(*CLOCKS), "to": _picked(*CLOCKS)}
    )
    once = st.fixed_dictionaries({"start": _picked(*INSTANTS[:2]), "end": _picked(*INSTANTS[2:])})
    windows = st.lists(weekly | once, max_size=16)
    degrees = _maybe(degree=_picked("HumanOnly", "Shadow", "Assist", "Partial", "Full"), freezes=windows)
    return degrees | _with({"degree": st.just("Partial")}, autoUpTo=_picked(*SHARES), freezes=windows)


def valid_documents() -> st.SearchStrategy[Document]:
    """
    Documents that both the API server and the parser must accept.
    """
    model = _with({"version": _picked(*VERSIONS)}, uri=_picked("s3://models/fraud/8", "é" * 2048))
    spec = _with(
        {"model": model, "serving": _serving(), "traffic": _traffic()},
        strategy=_strategy(),
        useCase=_picked("NewCapability", "AssistHuman", "ReplaceSystem"),
        analysis=_analysis(),
        automation=_automation(),
    )
    spec = spec | _with(
        {"model": model, "serving": _serving(), "traffic": _traffic(), "analysis": _analysis()}, strategy=_strategy()
    )
    reference = st.fixed_dictionaries({"name": _picked(*NAMES), "backend": _picked(*NAMES)})
    adopted = st.fixed_dictionaries({"gatewayAPI": _with({"routeRef": reference}, kind=_picked("GRPCRoute"))})
    shares_only = _picked({}, {"canary": {}}, {"blueGreen": {}}, {"canary": {"soak": "1s"}})
    spec = spec | _with({"model": model, "serving": _serving(), "traffic": adopted}, strategy=shares_only)
    names = _picked("a", "fraud", "fraud-2", "x" * 48)
    return st.tuples(names, spec.map(_able)).map(
        lambda both: {
            "apiVersion": "modelramp.io/v1alpha1",
            "kind": "MLModelDeployment",
            "metadata": {"name": both[0], "namespace": "default"},
            "spec": both[1],
        }
    )


# Fields that a random document may lack, so that a pool needs a place to be tried at.
_PLACES: Final[tuple[Path, ...]] = (
    ("spec", "serving", "replicas"),
    ("spec", "serving", "port"),
    ("spec", "useCase"),
    ("spec", "strategy", "canary", "steps"),
    ("spec", "strategy", "canary", "cohort", "header"),
    ("spec", "strategy", "shadow", "mirror"),
    ("spec", "strategy", "shadow", "others"),
    ("spec", "strategy", "shadow", "compare", "extract"),
    ("spec", "strategy", "shadow", "compare", "control"),
    ("spec", "strategy", "blueGreen", "steps"),
    ("spec", "strategy", "blueGreen", "bake"),
    ("spec", "strategy", "canary", "blastRadius"),
    ("spec", "analysis", "metrics"),
    ("spec", "analysis", "interval"),
    ("spec", "analysis", "slices"),
    ("spec", "analysis", "overdispersion"),
    ("spec", "analysis", "lookBack"),
    ("spec", "analysis", "onInconclusive"),
    ("spec", "analysis", "onNoData"),
    ("spec", "automation", "degree"),
    ("spec", "automation", "autoUpTo"),
    ("spec", "strategy", "keepRevisions"),
    ("spec", "traffic", "gatewayAPI", "hostnames"),
    ("spec", "serving", "template", "metadata", "labels"),
    ("spec", "analysis", "prometheus", "address"),
    ("metadata", "name"),
)
_NAMES_TO_TRY: Final = ("x" * 49, "x" * 63, "9a", "a.b", "a-", "-a", "A", "a_b", "", "x" * 48)
_WHOLE_NUMBER_WITH_POINT: Final = re.compile(r"[:\[ ]-?[0-9]+\.0[,}\]]")


def _paths(node: Any, path: Path = ()) -> list[Path]:  # noqa: ANN401 - a JSON value
    if isinstance(node, dict):
        return [path, *(found for key, child in node.items() for found in _paths(child, (*path, key)))]
    if isinstance(node, list):
        return [path, *(found for at, child in enumerate(node) for found in _paths(child, (*path, at)))]
    return [path]


def _put(document: Document, path: Path, value: Any) -> None:  # noqa: ANN401 - a JSON value
    node: Any = document
    for part in path[:-1]:
        if isinstance(node, dict) and not isinstance(node.get(part), dict | list):
            node[part] = {}
        node = node[part]
    node[path[-1]] = value


def _snake(name: str) -> str:
    return re.sub(r"([A-Z]+)", lambda found: "_" + found.group(1).lower(), name)


@st.composite
def _broken_once(draw: st.DrawFn, documents: st.SearchStrategy[Document]) -> Document:
    """
    A document with one change, which often, but not always, makes it invalid.
    """
    document = copy.deepcopy(draw(documents))
    inside = [path for path in _paths(document["spec"], ("spec",)) if path != ("spec",)]
    change = draw(_picked("pool", "pool", "place", "place", "wrong", "null", "remove", "unknown", "snake"))
    pooled = [path for path in inside if path[-1] in POOLS]
    fields = [path for path in inside if isinstance(path[-1], str)]
    if change == "place":
        path = draw(_picked(*_PLACES))
        _put(document, path, draw(_picked(*(_NAMES_TO_TRY if path[0] == "metadata" else POOLS[str(path[-1])]))))
    elif change == "pool":
        path = draw(_picked(*pooled))
        _put(document, path, draw(_picked(*POOLS[str(path[-1])])))
    elif change in ("wrong", "null"):
        _put(document, draw(_picked(*inside)), None if change == "null" else draw(_picked(*WRONG)))
    else:
        _rename(document, draw(_picked(*fields)), change)
    return document


def _rename(document: Document, path: Path, change: str) -> None:
    """
    Remove a field, misspell it, or add an unknown one beside it.
    """
    node: Any = document
    for part in path[:-1]:
        node = node[part]
    name = str(path[-1])
    if change == "unknown":
        node[name + "s"] = "x"
        return
    value = node.pop(name)
    if change == "snake":
        node[_snake(name)] = value


def _storable(document: Document) -> bool:
    """
    Whether JSON keeps the document: 1.0 comes back from the API server as 1, in fields it does not know too.
    """
    return _WHOLE_NUMBER_WITH_POINT.search(json.dumps(document)) is None


def documents() -> st.SearchStrategy[Document]:
    """
    Valid documents, and valid ones with one or two changes.
    """
    once = _broken_once(valid_documents())
    return (valid_documents() | once | once | _broken_once(once)).filter(_storable)


def _single_changes(whole: Document, paths: list[Path]) -> list[tuple[str, Document]]:
    found = []
    for path in paths:
        pool = POOLS.get(str(path[-1]), ()) if path[0] == "spec" else _NAMES_TO_TRY
        for value in (*pool, *(WRONG if path[0] == "spec" else ())):
            document = copy.deepcopy(whole)
            _put(document, path, value)
            found.append((f"{path} = {value!r}", document))
        for change in ("remove", "unknown", "snake") if isinstance(path[-1], str) and path[0] == "spec" else ():
            document = copy.deepcopy(whole)
            _rename(document, path, change)
            found.append((f"{change} {path}", document))
    return found


def every_single_change() -> list[tuple[str, Document]]:
    """
    The fullest document with each field in turn given each value of its pool and of wrong type, removed, misspelt,
    or with an unknown one beside it; with what was done, in words.
    """
    found = _single_changes(fullest(), [*_paths(fullest()["spec"], ("spec",))[1:], ("metadata", "name")])
    for other in fullest_of_others():
        found += _single_changes(other, _paths(other["spec"]["strategy"], ("spec", "strategy"))[1:])
    return [(words, document) for words, document in found if _storable(document)]
