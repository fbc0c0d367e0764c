"""
What `kubectl get mmd -o json` shows, as the demo looks at it.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import yaml
from demo.stage import ROOT, Stage, StageError

NAMESPACE = "modelramp-demo"
NAME = "digits"
HOSTNAME = "digits.example.com"
PATH = "/v2/models/digits/infer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """
    One look at the object.
    """

    phase: str = "-"
    reason: str = ""
    message: str = ""
    step: str = "-"
    wanted: str = "-"
    observed: str = "-"
    stable: str = "-"
    candidate: str = "-"
    generation_seen: bool = False
    verdicts: tuple[str, ...] = ()
    conditions: dict[str, str] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict, repr=False)


def seen(document: dict[str, Any]) -> Sight:
    """
    The parts of the object a person looks at.
    """
    status = document.get("status", {})
    traffic = status.get("traffic") or {}
    return Sight(
        phase=status.get("phase", "-"),
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        step=(status.get("step") or {}).get("display", "-"),
        wanted=traffic.get("wanted", "-"),
        observed=traffic.get("observed", "-"),
        stable=(status.get("stable") or {}).get("version", "-"),
        candidate=(status.get("candidate") or {}).get("version", "-"),
        generation_seen=status.get("observedGeneration") == document["metadata"]["generation"],
        verdicts=tuple(
            f"{v['name']}: {v['verdict']}, not-worse {v['evidence']}, harm {v['harm']}"
            + (f", about {v['secondsLeft']} s left" if "secondsLeft" in v else "")
            for v in status.get("verdicts", [])
        ),
        conditions={c["type"]: f"{c['status']} {c['reason']}" for c in status.get("conditions", [])},
        document=document,
    )


async def look(stage: Stage, name: str = NAME) -> Sight:
    """
    The object now; an empty sight while it, or the API server, is not there.
    """
    context = ["--context", stage.context] if stage.context else []
    process = await asyncio.create_subprocess_exec(
        "kubectl", *context, "-n", NAMESPACE, "get", "mmd", name, "-o", "json", "--request-timeout=5s",
        env=stage.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    out, _ = await process.communicate()
    return seen(json.loads(out)) if process.returncode == 0 else Sight()


def manifest(stage: Stage, version: int, name: str = NAME, **overrides: object) -> str:
    """
    The example's manifest for this stage and version; `overrides` replace whole parts of the spec.
    """
    document: dict[str, Any] = yaml.safe_load((ROOT / "examples/digits/mlmodeldeployment.yaml").read_text())
    namespace, _, gateway = stage.gateway.partition("/")
    document["metadata"] = {"name": name, "namespace": NAMESPACE}
    spec = document["spec"]
    spec["model"] = {"version": str(version), "uri": f"file:///models/digits/{version}"}
    spec["serving"]["template"]["spec"]["containers"][0]["image"] = stage.model_image
    spec["traffic"]["gatewayAPI"]["parentRefs"] = [{"name": gateway, "namespace": namespace}]
    spec["traffic"]["gatewayAPI"]["hostnames"] = [HOSTNAME if name == NAME else f"{name}.example.com"]
    for key, value in overrides.items():
        spec[key] = value
    return yaml.safe_dump(document, sort_keys=False)


def apply(stage: Stage, text: str) -> None:
    """
    `kubectl apply`, creating the demo's namespace first.
    """
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    stage.kubectl("apply", "-f", "-", text=yaml.safe_dump(namespace))
    stage.kubectl("-n", NAMESPACE, "apply", "-f", "-", text=text)


async def wait_gone(stage: Stage, seconds: float) -> None:
    """
    Wait until the namespace holds nothing the operator made.

    Raises:
        StageError: something is left.
    """
    left = ""
    for _ in range(int(seconds)):
        left = stage.kubectl(
            "-n", NAMESPACE, "get", "deploy,svc,httproute,pods", "-l", f"modelramp.io/deployment={NAME}", "-o", "name"
        ).strip()
        if not left:
            return
        await asyncio.sleep(1)
    raise StageError(f"still there after {seconds:.0f} s: {left}")
