"""
The examples are what the parser accepts, and each says in its head what it is for.
"""

from pathlib import Path

import pytest
import yaml

from modelramp.api.document import parse_spec

EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "examples" / "strategies").glob("*.yaml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_valid(file: Path) -> None:
    """
    A reader copies it and applies it.
    """
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert parse_spec(yaml.safe_load(text)).model.version == "8"


def test_there_is_one_for_each_way() -> None:
    """
    A folder that moved would be tested by nothing.
    """
    assert [file.stem for file in EXAMPLES] == [
        "assisted-canary",
        "blue-green-by-host",
        "blue-green",
        "shadow-compared",
        "shadow-of-three",
        "shadow-then-canary",
    ]
