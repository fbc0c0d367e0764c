"""
Values at which the object's rules are tried, and two documents to try them in.
"""

from typing import Any, Final

Document = dict[str, Any]

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
LIMITS: Final = ("0.0001%", "1%", "05%", "49.9999%", "50%", "50.0000%")
GROWTHS: Final = ("0.0001%", "20%", "99.9999%", "100%", "100.0000%")
QUANTILES: Final = ("0.5", "0.50000", "0.9", "0.99", "0.999", "0.99999")
SPANS: Final = ("1ms", "0s1ms", "250ms", "1s", "1h30m", "99999h")
LOOK_BACKS: Final = ("10m", "600s", "600000ms", "9m60s", "6h", "24h", "168h", "10080m", "167h59m59s999ms")
OVERDISPERSIONS: Final = ("1", "1.0", "1.0001", "2.5", "10", "999", "999.9999")
OTHER_RUNTIMES: Final = (
    "mlserver", "triton", "vllm", "kserve", "tfserving", "torchserve", "bentoml", "rayserve", "tgi", "sglang", "trtllm",
)  # fmt: skip
RATE_PRESETS: Final = ("errors", "aborts")
DURATION_PRESETS: Final = ("latency", "ttft", "itl", "queue-time")
BUCKETS: Final = (
    "seconds_bucket{$arm}",
    '{__name__="x_bucket",service="${service}"}',
    'x_bucket{revision="${revision}"}',
)
SELECTORS: Final = (
    "errors_total{$arm}",
    'requests_total{code=~"5..",$arm}',
    '{__name__="x", namespace="${namespace}", service="${service}"}',
    'a:b{ revision = "${revision}" , x!~"a\\\\.b" , }',
)

WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
CLOCKS: Final = ("00:00", "07:30", "16:00", "23:59")
INSTANTS: Final = (
    "2026-01-01T00:00:00Z", "2026-12-23T12:00:00Z",
    "2028-02-29T23:59:59Z", "2999-12-31T23:59:59Z",
)  # fmt: skip
"""The first two are before the others."""

EXTRACTS: Final = ("v2", "openai", "$.openai", "outputs[0].data[0]", "[0]", "$['a.b'].c", "a-b.c_d[123456789]")
TOLERANCES: Final = ("0", "0.01", "1%", "12.5%", "100", "000001")
COMPARISONS: Final = ("Equal", "Number", "ArgMax", "Set", "Text")
COMPARED: Final[Document] = {
    "extract": "outputs[0].data[0]",
    "as": "Number",
    "tolerance": "0.01",
    "sample": "50%",
    "control": "5%",
    "timeout": "2s",
    "concurrency": 8,
}

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
WRONG: Final[tuple[Any, ...]] = (None, "", "x", 0, 1, 1.5, True, [], {}, [None], {"a": 1}, ["x"])

# The last part of a path, and values to try there beside those of the wrong type.
POOLS: Final[dict[str, tuple[Any, ...]]] = {
    "name": ("", "A", "-a", "a-", "a.b", "a_b", "9a", WIDE, "x" * 49, "x" * 254, "a\n", "a/b"),
    "version": ("", "-1", "1-", "a b", "a/b", WIDE, 8, 1.0, "1\n"),
    "uri": ("", "x" * 2049, "s3://ok"),
    "runtime": ("", "MLServer", "Triton", "tensorrt", *OTHER_RUNTIMES, "custom"),
    "port": (0, 1, 65535, 65536, -1, "80", 80.5, 2**40),
    "replicas": (0, 1, 1000, 1001, -1, "3", 3.5, 2**70),
    "requests": (0, 1, 200, 201, "20"),
    "surge": ("", "full", "Full", "Swap", "Recreate"),
    "resource": ("", "a", "nvidia.com/gpu", "a b", "/gpu", "gpu/", "x" * 128, "x" * 129, "A.b/c"),
    "minReady": (*_BAD_DURATIONS, *DURATIONS),
    "preStop": (*_BAD_DURATIONS, "1h", "1h1ms", "3601s", "0s"),
    "timeout": (*_BAD_DURATIONS, "1h", "1h1ms", "3601s", "0s"),
    "config": (
        [],
        [{}],
        [{"configMap": "a"}],
        [{"configMap": "a"}, {"configMap": "a"}],
        [{"configMap": "a"}, {"configMap": "b"}],
        [{"configMap": f"c{number}"} for number in range(8)],
        [{"configMap": f"c{number}"} for number in range(9)],
        [{"configMap": "A"}],
        [{"configMap": "a", "onChange": "Rollout"}, {"configMap": "b", "onChange": "Ignore"}],
        [{"configMap": "a", "onChange": "ignore"}],
        [{"configMap": "a", "onChange": None}],
    ),
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
        [{"traffic": "5%", "metrics": ["errors"]}],
        [{"traffic": "5%", "metrics": ["errors", "unknown"]}],
        [{"traffic": "5%", "metrics": []}],
        [{"traffic": "5%", "metrics": ["Errors"]}],
        [{"traffic": "100%", "metrics": ["errors"] * 17}],
    ),
    "others": (
        [],
        [{}],
        [{"name": "a"}],
        [{"name": "a", "model": {"version": "w9"}}],
        [{"name": "a", "model": {"version": "8"}}],
        [{"name": "A", "model": {"version": "w9"}}],
        [{"name": "a", "model": {"version": "w9"}, "serving": {}}],
        [{"name": "a", "model": {"version": "w9"}}, {"name": "a", "model": {"version": "w8"}}],
        [{"name": "a", "model": {"version": "w9"}}, {"name": "b", "model": {"version": "w9"}}],
        [{"name": "a", "model": {"version": "w9"}}, {"name": "b", "model": {"version": "w9", "uri": "s3://b"}}],
        [{"name": f"o{number}", "model": {"version": f"w{number}"}} for number in range(4)],
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
        [{"preset": "latency"}, {"preset": "latency", "name": "slow"}],
        [{"preset": "latency"}, {"preset": "errors", "name": "latency"}],
        [{"preset": "gpu"}],
        [{"preset": "latency", "against": {"limit": "1%"}}],
        [{"preset": "latency", "against": {}}],
        [{"preset": "aborts", "against": {"limit": "1%"}}],
        [{"preset": "aborts", "threshold": "1s"}],
        [{"preset": "latency", "quantile": "0.9"}],
        [{"preset": "latency", "mayGrow": "5%"}],
        [{"preset": "latency", "below": "1s"}],
        [{"preset": "latency", "mayGrow": "5%", "below": "1s"}],
        [{"preset": "latency", "quantile": "0.9", "mayGrow": "5%"}],
        [{"preset": "latency", "quantile": "0.9", "below": "1s"}],
        [{"preset": "latency", "quantile": "0.9", "mayGrow": "5%", "below": "1s"}],
        [{"preset": "latency", "threshold": "1s"}],
        [{"preset": "latency", "threshold": "1s", "quantile": "0.9"}],
        [{"preset": "latency", "threshold": "1s", "mayGrow": "5%"}],
        [{"preset": "latency", "threshold": "1s", "quantile": "0.9", "below": "1s"}],
        [{"preset": "latency", "threshold": None, "quantile": "0.9", "below": None, "mayGrow": "5%"}],
        [{"histogram": {"buckets": "a{$arm}"}}],
        [{"name": "a", "histogram": {"buckets": "a{$arm}"}}],
        [{"name": "a", "histogram": {"buckets": "a{$arm}"}, "against": {"limit": "1%"}}],
        [{"name": "a", "histogram": {"buckets": "a{$arm}"}, "origin": "Runtime"}],
        [{"name": "a", "histogram": {"buckets": "a{$arm}"}, "preset": "latency"}],
        [{"name": "a", "histogram": {"buckets": "a{$arm}"}, "ratio": {"bad": "a{$arm}", "total": "b{$arm}"}}],
        [{"name": "a", "ratio": {"bad": "a{$arm}", "total": "b{$arm}"}, "quantile": "0.9", "mayGrow": "5%"}],
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
    "preset": (*RATE_PRESETS, *DURATION_PRESETS, "disagreement", "throughput", "Errors", "queueTime"),
    "limit": (*_BAD_SHARES, *LIMITS, "50.0001%", "51%", "100%", 0, 1, 8, 1_000_000, 1_000_001, "8", 8.5),
    "mayGrow": (*_BAD_SHARES, *GROWTHS),
    "quantile": (*QUANTILES, "", "0", "1", "0.4", "0.49999", "1.0", ".9", "0.", "99", "0.999999", "0.9 ", "0.9\n", 0.9),
    "overdispersion": (*OVERDISPERSIONS, "", "0", "0.5", "01", "1.", ".5", "1000", "1.00001", "1e2", "-1", "2\n", 2.5),
    "lookBack": (*_BAD_DURATIONS, *LOOK_BACKS, "9m59s999ms", "0s", "168h1ms", "169h", "99999h"),
    "weight": ("Critical", "Normal", "critical", "1"),
    "unit": ("Seconds", "Milliseconds", "Microseconds", "seconds", "ms"),
    "onInconclusive": ("Pause", "Rollback", "Advance", "pause", "Abort"),
    "onNoData": ("Pause", "Rollback", "Advance", "rollback"),
    "label": ("", "a b", "a-b", "9a", "a:b", "tenant\n", "x" * 63, WIDE, "__name__", "é"),
    "values": (
        [],
        [""],
        ["a"] * 2,
        ["a", "b", "a"],
        ["é" * 63],
        ["é" * 64],
        [WIDE],
        [" a\n"],
        [None],
        [1],
        [*"abcdefgh"],
        [*"abcdefghi"],
    ),
    "slices": (
        {},
        {"label": "tenant"},
        {"values": ["a"]},
        {"label": "tenant", "values": None},
        {"label": "tenant", "values": ["a", "b"]},
        {"label": "tenant", "values": ["b", "b"]},
    ),
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
_BAD_INSTANTS: Final = (
    "", "2027-02-29T00:00:00Z", "2027-04-31T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00+00:00",
    "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "2026-13-01T00:00:00Z", "1999-01-01T00:00:00Z", "2026-1-1T0:0:0Z",
)  # fmt: skip
POOLS["start"] = POOLS["end"] = (*_BAD_INSTANTS, *INSTANTS)
POOLS["from"] = POOLS["to"] = ("", "24:00", "7:30", "16:60", "16:00:00", *CLOCKS)
POOLS["days"] = ([], ["Mon"], ["mon"], ["Monday"], ["Mon"] * 7, ["Mon"] * 8, [None])
POOLS["autoUpTo"] = POOLS["traffic"]
POOLS["keepRevisions"] = (-1, 0, 5, 6, 1.5)
POOLS["mirror"] = POOLS["traffic"]
POOLS["sample"] = POOLS["traffic"]
POOLS["control"] = (*POOLS["traffic"], "50.0001%")
POOLS["extract"] = (*EXTRACTS, "", "a b", "a..b", "a.", ".a", "$", "$a", "a[", "a[x]", "a['b]", "x" * 256, "x" * 257)
POOLS["as"] = (*COMPARISONS, "equal", "Regex", "")
POOLS["tolerance"] = (*TOLERANCES, "", "-1", "1e3", ".5", "1.", "%", "0.01 ", "1" * 13)
POOLS["concurrency"] = (0, 1, 16, 256, 257, 1.5, "16")
POOLS["header"] = ("", "a b", "x-model", "x" * 64, "x" * 65, "é", "a:b", "X_a.b")
POOLS["approval"] = ("Required", "required", "NotRequired")
POOLS["onPassed"] = ("Report", "Promote", "promote", "Canary")
POOLS["useCase"] = ("NewCapability", "AssistHuman", "ReplaceSystem", "newCapability")
POOLS["total"] = POOLS["buckets"] = POOLS["bad"]
POOLS["outOfMemory"] = POOLS["crashLoop"]
for _duration in (
    "soak", "bake", "deadline", "stepDeadline",
    "progressDeadline", "scaleDownDelay", "delay", "notReadyFor", "p95Below", "requestTimeout",
):  # fmt: skip
    POOLS[_duration] = (*_BAD_DURATIONS, *DURATIONS)
for _span in ("below", "threshold"):
    POOLS[_span] = (*_BAD_DURATIONS, *SPANS, "0s", "0h0m", "0ms", "00s000ms")


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


def fullest() -> Document:
    """
    A valid document with every field that is not excluded by another one.
    """
    container = {"name": "m", "image": "i", "env": [{"name": "A", "value": "b"}]}
    key = {"name": "bodies", "key": "a"}
    ratio = {"bad": "errors_total{$arm}", "total": "requests_total{$arm}"}
    metrics = [
        {"preset": "errors", "origin": "Runtime", "weight": "Critical"},
        {"name": "nulls", "ratio": ratio, "against": {"limit": "2%"}},
        {"preset": "disagreement"},
        {"preset": "latency", "threshold": "250ms"},
        {"preset": "ttft", "quantile": "0.9", "below": "1s"},
        {
            "name": "queued",
            "histogram": {"buckets": "queued_milliseconds_bucket{$arm}", "unit": "Milliseconds"},
            "quantile": "0.99",
            "mayGrow": "20%",
        },
    ]
    auth = {"basic": {"username": "u", "passwordSecretRef": {"name": "s", "key": "p"}}}
    canary = {
        "steps": [{"traffic": "5%", "soak": "1m", "approval": "Required", "metrics": ["errors"]}, {"traffic": "100%"}],
        "shadow": {"mirror": "10%", "soak": "1m", "deadline": "1h", "compare": COMPARED},
        "cohort": {"header": "x-team", "value": "ml"},
        "blastRadius": "1%",
        "soak": "1m",
    }
    return {
        "apiVersion": "modelramp.io/v1alpha1",
        "kind": "MLModelDeployment",
        "metadata": {"name": "fraud", "namespace": "default"},
        "spec": {
            "model": {"version": "1", "uri": "s3://models/1"},
            "useCase": "AssistHuman",
            "serving": {
                "runtime": "custom",
                "port": 8080,
                "replicas": 2,
                "template": {
                    "metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}},
                    "spec": {"containers": [container], "nodeSelector": {"gpu": "a100"}},
                },
                "warmUp": {"requests": 5, "path": "/infer", "body": {"configMapKeyRef": key}, "p95Below": "200ms"},
                "minReady": "10s",
                "capacity": {"surge": "Swap", "budget": {"resource": "nvidia.com/gpu", "limit": 8}},
                "drain": {"preStop": "10s", "timeout": "1m"},
                "config": [{"configMap": "limits", "onChange": "Ignore"}],
            },
            "traffic": {
                "gatewayAPI": {
                    "parentRefs": [{"name": "gw", "namespace": "gateways", "sectionName": "http", "port": 80}],
                    "hostnames": ["a.example"],
                    "path": "/v1",
                    "requestTimeout": "30s",
                }
            },
            "strategy": {
                "canary": {**canary, "stepDeadline": "1h"},
                "progressDeadline": "10m",
                "scaleDownDelay": "30s",
                "keepRevisions": 2,
            },
            "analysis": {
                "mode": "Evidence",
                "prometheus": {"address": "http://p:9090", "auth": auth, "delay": "5s"},
                "interval": "5s",
                "metrics": metrics,
                "slices": {"label": "tenant", "values": ["a", "b"]},
                "overdispersion": "1.5",
                "lookBack": "12h",
                "onInconclusive": "Advance",
                "onNoData": "Rollback",
                "guardrails": {"crashLoop": "Ignore", "outOfMemory": "Rollback", "notReadyFor": "1m"},
            },
            "automation": {
                "degree": "Partial",
                "autoUpTo": "5%",
                "freezes": [
                    {"days": ["Fri"], "from": "16:00", "to": "08:00"},
                    {"start": "2026-12-23T12:00:00Z", "end": "2027-01-02T08:00:00Z"},
                ],
            },
        },
    }


def fullest_of_others() -> tuple[Document, ...]:
    """
    The same with what excludes the canary.
    """
    warm_up = {"requests": 5, "path": "/infer", "p95Below": "200ms"}
    shadow = {"mirror": "10%", "soak": "1m", "deadline": "1h", "compare": COMPARED}
    blue_green = {
        "shadow": shadow,
        "preview": {"header": "x-team", "value": "ml"},
        "preSwitch": {"soak": "10s", "approval": "Required", "smoke": warm_up},
        "steps": [{"traffic": "50%", "soak": "1m"}, {"traffic": "100%"}],
        "bake": "5m",
        "soak": "1m",
        "blastRadius": "1%",
        "stepDeadline": "1h",
    }
    hosted = {**blue_green, "preview": {"hostname": "preview.example.com"}}
    others = [{"name": "large", "model": {"version": "9-large", "uri": "s3://models/fraud/9-large"}}]
    run = {**shadow, "onPassed": "Promote", "blastRadius": "1%"}
    several = {**{name: value for name, value in run.items() if name != "compare"}, "others": others}
    spec = fullest()["spec"]
    full = {**spec["serving"], "capacity": {**spec["serving"]["capacity"], "surge": "Full"}}
    metrics = [metric for metric in spec["analysis"]["metrics"] if metric.get("preset") != "disagreement"]
    alone = {"serving": full, "analysis": {**spec["analysis"], "metrics": metrics}}
    return (
        {**fullest(), "spec": {**spec, "strategy": {"blueGreen": blue_green}}},
        {**fullest(), "spec": {**spec, "strategy": {"blueGreen": hosted}}},
        {**fullest(), "spec": {**spec, "strategy": {"shadow": run}}},
        {**fullest(), "spec": {**spec, "strategy": {"shadow": several}, **alone}},
    )
