"""
Write, or check, every file of the repository that is generated from the code.

    python hack/generate.py             write all
    python hack/generate.py crd         write those whose path contains "crd"
    python hack/generate.py --check     write nothing; exit status 1 and a list if a file is not what the code gives

A new generated file is one more entry in `GENERATED`.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent
# What is generated belongs to the tree beside this script, also where another build of the package is installed.
sys.path.insert(0, str(ROOT / "operator"))

from docs_rollout import reasons_page, rollout_page  # noqa: E402 - after the path to the tree
from presets_page import presets_page  # noqa: E402 - as above
from runbooks import runbooks_page  # noqa: E402 - as above
from spec_reference import spec_reference  # noqa: E402 - as above

from modelramp.api.crd import custom_resource_definition  # noqa: E402 - after the path to the tree

_YAML_1_1_BOOLEANS: Final = frozenset("ynYN")


class _Dumper(yaml.SafeDumper):
    """
    Writes what Go's YAML readers read back as the same document.
    """

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401 - any part of the document
        """
        Write every part out: aliases confuse people and some tools.
        """
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # PyYAML leaves a lone y or n bare, which Kubernetes' YAML reader takes for a boolean.
    style = '"' if text in _YAML_1_1_BOOLEANS else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(document: dict[str, Any]) -> str:
    """
    The document as YAML, keys in the order given, lines of at most about 120 characters.
    """
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def _crd() -> str:
    return "# Generated from operator/modelramp/api by `python hack/generate.py crd`; do not edit.\n" + as_yaml(
        custom_resource_definition()
    )


def _spec_reference() -> str:
    return spec_reference(custom_resource_definition())


def _approvals() -> str:
    # Written by hand; Helm reads files of the chart only.
    return (ROOT / "deploy" / "approvals.yaml").read_text(encoding="utf-8")


GENERATED: Final[dict[str, Callable[[], str]]] = {
    "crds/modelramp.io_mlmodeldeployments.yaml": _crd,
    "charts/modelramp/files/crd.yaml": _crd,
    "charts/modelramp/files/approvals.yaml": _approvals,
    "docs/reference/spec.md": _spec_reference,
    "docs/reference/presets.md": presets_page,
    "docs/reference/reasons.md": reasons_page,
    "docs/rollout.md": rollout_page,
    "docs/runbooks/README.md": runbooks_page,
}


def differing(words: list[str]) -> dict[str, str]:
    """
    Path and wanted text of each chosen file that is not as the code gives it; no words choose all.
    """
    chosen = {path: render for path, render in GENERATED.items() if not words or any(word in path for word in words)}
    wanted = {path: render() for path, render in chosen.items()}
    return {
        path: text
        for path, text in wanted.items()
        if not (ROOT / path).exists() or (ROOT / path).read_text(encoding="utf-8") != text
    }


def main(arguments: list[str]) -> int:
    """
    The exit status: 1 if `--check` found a difference.
    """
    parser = argparse.ArgumentParser(description="Write the generated files of the repository.")
    parser.add_argument("--check", action="store_true", help="only compare")
    parser.add_argument("words", nargs="*", metavar="WORD", help="part of the path of the files wanted; default: all")
    options = parser.parse_args(arguments)
    unmatched = [word for word in options.words if not any(word in path for path in GENERATED)]
    if unmatched:
        parser.error(f"no generated file's path contains {', '.join(unmatched)}; there are: {', '.join(GENERATED)}")
    stale = differing(options.words)
    for path, text in stale.items():
        if options.check:
            print(f"{path} differs from the code; run: python hack/generate.py")
            continue
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
