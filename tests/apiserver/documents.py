"""
Random documents of MLModelDeployment: valid ones, ones at the bounds, and valid ones with one or two things broken.
"""

import copy
import json
import re
from typing import Any, Final

from hypothesis import strategies as st

Document = dict[str, Any]
Path = tuple[str | int, ...]

WIDE: Final = "x" * 64
LABELS: Final = ("a", "0", "fraud", "a-b", "x" * 63)
NAMES: Final = (*LABELS, "gw.example", "x" * 253)
VERSIONS: Final = ("1", "8", "v1.2.3", "2026-11-21_a", "A" * 63)
DURATIONS: Final = ("0s", "1s", "500ms", "90s", "1h30m", "48h", "00012s", "1h1m1s1ms", "99999h")
LONG_DURATIONS: Final = ("1s", "15s", "90s", "1h30m", "48h", "10m", "1m500ms", "1000ms")
SOAKS: Final = ("0s", "500ms", "2m", "90s")
DEADLINES: Final = ("1h", "99999h", "2m1ms")
SHARES: Final = ("0.0001%", "0.25%", "1%", "05%", "5%", "12.5%", "25%", "50%", "99.9999%", "100%", "100.0%")
RADII: Final = ("0.0001%", "0.5%", "1%", "20%", "20.0000%", "19%")
SELECTORS: Final = (
    "errors_total{$arm}",
    'requests_total{code=~"5..",$arm}',
    '{__name__="x", namespace="${namespace}", service="${service}"}',
    'a:b{ revision = "${revision}" , x!~"a\\\\.b" , }',
)

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
    common = {"replicas": _picked(1, 2, 1000), "warmUp": _warm_up()}
    custom = _with({"port": ports, "template": _template()}, runtime=st.just("custom"), **common)
    mlserver = _with({"runtime": st.just("mlserver"), "template": _template()}, port=ports, **common)
    return custom | mlserver


def _traffic() -> st.SearchStrategy[Document]:
    parent = _with(
        {"name": _picked(*NAMES)}, namespace=_picked(*LABELS), sectionName=_picked("http", "a.b"), port=_picked(80)
    )
    gateway = _with(
        {"parentRefs": st.lists(parent, min_size=1, max_size=8)},
        hostnames=st.lists(_picked("a.example", "*.example.com", "localhost"), max_size=16),
        path=_picked("/", "/v1/models"),
        requestTimeout=_picked(*DURATIONS),
    )
    return st.fixed_dictionaries({"gatewayAPI": gateway})


def _steps() -> st.SearchStrategy[list[Document]]:
    shares = st.lists(_picked(*SHARES), min_size=1, max_size=8, unique_by=lambda share: float(share[:-1]))
    ordered = shares.map(lambda some: sorted(some, key=lambda share: float(share[:-1])))
    return ordered.flatmap(
        lambda some: st.tuples(*(_with({"traffic": st.just(share)}, soak=_picked(*SOAKS)) for share in some)).map(list)
    )


def _strategy() -> st.SearchStrategy[Document]:
    canary = _maybe(steps=_steps(), blastRadius=_picked(*RADII), soak=_picked(*SOAKS), stepDeadline=_picked(*DEADLINES))
    return _maybe(canary=canary, progressDeadline=_picked(*DURATIONS), scaleDownDelay=_picked(*DURATIONS))


def _metrics() -> st.SearchStrategy[list[Document]]:
    preset = _with({"preset": st.just("errors")}, origin=_picked("Gateway", "Runtime"))
    selectors = st.fixed_dictionaries({"bad": _picked(*SELECTORS), "total": _picked(*SELECTORS)})
    named = st.lists(_picked("a", "null-outputs", "x" * 63), unique=True, min_size=1, max_size=3).flatmap(
        lambda names: st.tuples(
            *(st.fixed_dictionaries({"name": st.just(name), "ratio": selectors}) for name in names)
        ).map(list)
    )
    return st.tuples(named, preset).map(lambda both: [*both[0], both[1]]) | named | preset.map(lambda one: [one])


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
    return _maybe(
        mode=_picked("Evidence", "GuardrailsOnly"),
        prometheus=prometheus,
        interval=_picked(*LONG_DURATIONS),
        metrics=_metrics(),
        guardrails=guardrails,
    )


def valid_documents() -> st.SearchStrategy[Document]:
    """
    Documents that both the API server and the parser must accept.
    """
    model = _with({"version": _picked(*VERSIONS)}, uri=_picked("s3://models/fraud/8", "é" * 2048))
    spec = _with(
        {"model": model, "serving": _serving(), "traffic": _traffic()},
        strategy=_strategy(),
        analysis=_analysis(),
        automation=_picked({}, {"degree": "Full"}),
    )
    names = _picked("a", "fraud", "fraud-2", "x" * 48)
    return st.tuples(names, spec).map(
        lambda both: {
            "apiVersion": "modelramp.io/v1alpha1",
            "kind": "MLModelDeployment",
            "metadata": {"name": both[0], "namespace": "default"},
            "spec": both[1],
        }
    )


_BAD_DURATIONS: Final = (
    "",
    "1",
    "s",
    "90",
    "1.5h",
    "-1s",
    " 90s",
    "90s ",
    "1m1h",
    "1S",
    "1d",
    "100000h",
    "0ms",
    "90s\n",
)
_BAD_SHARES: Final = ("5", "%", "0%", "0.0000%", "-5%", "100.1%", "101%", "5.%", "0.00001%", "5 %", "1e1%", "100.0000%")
_WRONG: Final[tuple[Any, ...]] = (None, "", "x", 0, 1, 1.5, True, [], {}, [None], {"a": 1}, ["x"])

# The last part of a path, and values to try there beside those of the wrong type.
POOLS: Final[dict[str, tuple[Any, ...]]] = {
    "name": ("", "A", "-a", "a-", "a.b", "a_b", "9a", WIDE, "x" * 49, "x" * 254, "a\n", "a/b"),
    "version": ("", "-1", "1-", "a b", "a/b", WIDE, 8, 1.0, "1\n"),
    "uri": ("", "x" * 2049, "s3://ok"),
    "runtime": ("", "MLServer", "triton", "custom", "mlserver"),
    "port": (0, 1, 65535, 65536, -1, "80", 80.5, 2**40),
    "replicas": (0, 1, 1000, 1001, -1, "3", 3.5, 2**70),
    "requests": (0, 1, 200, 201, "20"),
    "path": ("", "x", "/ ", "/a b", "/é", "/" + "x" * 511, "/" + "x" * 512, "/a?b=c", "/a#b", "/\n"),
    "image": ("", "x" * 512, "x" * 513),
    "key": ("", "a b", "a/b", "x" * 254, "..data"),
    "value": ("", "x" * 65536, "x" * 65537),
    "traffic": (*_BAD_SHARES, *SHARES),
    "blastRadius": (*_BAD_SHARES, "20.0001%", "20%", "21%", "0.0001%"),
    "interval": (*_BAD_DURATIONS, "0s", "999ms", "1000ms", "0h1s", "1d", "00s", "1s"),
    "hostnames": (["*"], ["*.a", "a..b"], ["A.example"], ["a."], ["x" * 254], ["a.example"] * 17, [""], [None]),
    "parentRefs": ([], [{}], [{"name": "gw"}] * 8, [{"name": "gw"}] * 9, [{"name": "a..b"}]),
    "steps": (
        [],
        [{"traffic": "5%", "soak": "1h"}],
        [{"traffic": "5%", "soak": "59m59s"}],
        [{"traffic": "5%"}, {"traffic": "5%"}],
        [{"traffic": "5%"}, {"traffic": "5.0%"}],
        [{"traffic": "50%"}, {"traffic": "5%"}],
        [{"traffic": "5%"}, {"traffic": "50%"}, {"traffic": "25%"}],
        [{"traffic": "9%"}, {"traffic": "10%"}],
        [{"traffic": f"{share}%"} for share in range(1, 17)],
        [{"traffic": f"{share}%"} for share in range(1, 18)],
        [{"soak": "1m"}],
        [{"traffic": "5%", "approval": "Required"}],
    ),
    "metrics": (
        [],
        [{}],
        [{"preset": "errors"}, {"preset": "errors"}],
        [{"preset": "errors", "name": "a"}, {"preset": "errors"}],
        [{"name": "errors", "ratio": {"bad": "a{$arm}", "total": "b{$arm}"}}, {"preset": "errors"}],
        [{"preset": "errors", "ratio": {"bad": "a{$arm}", "total": "b{$arm}"}}],
        [{"ratio": {"bad": "a{$arm}", "total": "b{$arm}"}}],
        [{"name": "a", "origin": "Gateway", "ratio": {"bad": "a{$arm}", "total": "b{$arm}"}}],
        [{"preset": "latency"}],
        [{"preset": "errors", "name": f"m{number}"} for number in range(10)],
        [{"preset": "errors", "name": f"m{number}"} for number in range(11)],
    ),
    "bad": (
        "",
        "a",
        "a{}",
        'a{x="y"}',
        'a{x="$arm"}',
        "a{$arm}[5m]",
        "a{$arm} or b{$arm}",
        "rate(a{$arm})",
        'a{$arm,x="}"}',
        'a{$arm,x="\\"}',
        'a{$arm,x="\\""}',
        'a{$arm,x="\\d"}',
        'a{$arm,x="\n"}',
        "a{$arm}\n",
        "a{$arm,}",
        "a{,$arm}",
        "a{$armx}",
        'a{x="${other}",$arm}',
        'a{x="$1",$arm}',
        "a{$arm} # b",
        'a{$arm,x="é"}',
        "a{$arm," + 'x="' + "y" * 1100 + '"}',
    ),
    "address": (
        "",
        "prometheus:9090",
        "ftp://p",
        "http://",
        "http://p:999999",
        "http://u:p@h",
        "http://p?x=1",
        "http://p/",
    ),
    "preset": ("errors", "latency", "Errors"),
    "origin": ("Gateway", "gateway", "Runtime"),
    "crashLoop": ("rollback", "Ignore", "Pause"),
    "mode": ("Evidence", "evidence", "GuardrailsOnly"),
    "degree": ("Full", "HumanOnly", "Shadow", "Assist", "Partial", "full"),
    "labels": ({"a": None}, {"a": 1}, {"a": WIDE}, {f"k{number}": "v" for number in range(33)}, {"": ""}),
    "annotations": ({"a": None}, {"a": True}, {"a": "x" * 4097}, {"é": "ok"}),
    "containers": (
        [],
        [None],
        [{}],
        [{"name": "a"}],
        [{"name": "A", "image": "b"}],
        [{"name": "a", "image": "b"}] * 17,
    ),
}
POOLS["total"] = POOLS["bad"]
POOLS["outOfMemory"] = POOLS["crashLoop"]
for _duration in (
    "soak", "stepDeadline", "progressDeadline", "scaleDownDelay", "delay", "notReadyFor", "p95Below", "requestTimeout",
):  # fmt: skip
    POOLS[_duration] = (*_BAD_DURATIONS, *DURATIONS)

# Fields that a random document may lack, so that a pool needs a place to be tried at.
_PLACES: Final[tuple[Path, ...]] = (
    ("spec", "serving", "replicas"),
    ("spec", "serving", "port"),
    ("spec", "strategy", "canary", "steps"),
    ("spec", "strategy", "canary", "blastRadius"),
    ("spec", "analysis", "metrics"),
    ("spec", "analysis", "interval"),
    ("spec", "automation", "degree"),
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
        _put(document, draw(_picked(*inside)), None if change == "null" else draw(_picked(*_WRONG)))
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


def smallest() -> dict[str, Any]:
    """
    The smallest valid document.
    """
    return {
        "apiVersion": "modelramp.io/v1alpha1",
        "kind": "MLModelDeployment",
        "metadata": {"name": "fraud", "namespace": "default"},
        "spec": {
            "model": {"version": "1"},
            "serving": {"port": 8080, "template": {"spec": {"containers": [{"name": "m", "image": "i"}]}}},
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}},
        },
    }
