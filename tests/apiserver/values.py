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
SELECTORS: Final = (
    "errors_total{$arm}",
    'requests_total{code=~"5..",$arm}',
    '{__name__="x", namespace="${namespace}", service="${service}"}',
    'a:b{ revision = "${revision}" , x!~"a\\\\.b" , }',
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
WRONG: Final[tuple[Any, ...]] = (None, "", "x", 0, 1, 1.5, True, [], {}, [None], {"a": 1}, ["x"])

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
    auth = {"basic": {"username": "u", "passwordSecretRef": {"name": "s", "key": "p"}}}
    canary = {"steps": [{"traffic": "5%", "soak": "1m"}, {"traffic": "100%"}], "blastRadius": "1%", "soak": "1m"}
    return {
        "apiVersion": "modelramp.io/v1alpha1",
        "kind": "MLModelDeployment",
        "metadata": {"name": "fraud", "namespace": "default"},
        "spec": {
            "model": {"version": "1", "uri": "s3://models/1"},
            "serving": {
                "runtime": "custom",
                "port": 8080,
                "replicas": 2,
                "template": {
                    "metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}},
                    "spec": {"containers": [container], "nodeSelector": {"gpu": "a100"}},
                },
                "warmUp": {"requests": 5, "path": "/infer", "body": {"configMapKeyRef": key}, "p95Below": "200ms"},
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
            },
            "analysis": {
                "mode": "Evidence",
                "prometheus": {"address": "http://p:9090", "auth": auth, "delay": "5s"},
                "interval": "5s",
                "metrics": [{"preset": "errors", "origin": "Runtime"}, {"name": "nulls", "ratio": ratio}],
                "guardrails": {"crashLoop": "Ignore", "outOfMemory": "Rollback", "notReadyFor": "1m"},
            },
            "automation": {"degree": "Full"},
        },
    }
