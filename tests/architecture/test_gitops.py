"""
What docs/gitops.md tells programs to look for exists.
"""

import re
from pathlib import Path

from modelramp.api.vocabulary import ConditionType, Phase

PAGE = (Path(__file__).parent.parent.parent / "docs" / "gitops.md").read_text(encoding="utf-8")


def test_conditions_and_phases_of_the_page_are_those_of_the_vocabulary() -> None:
    """
    In the health check, in the commands, and in the table of phases, which is complete.
    """
    looked_for = {*re.findall(r"\bis\.(\w+)", PAGE), *re.findall(r"--for=condition=(\w+)", PAGE)}
    assert looked_for == {ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED}
    assert set(re.findall(r'status\.phase == "(\w+)"', PAGE)) == {Phase.PAUSED, Phase.REPORTED}
    table = PAGE.split("| Phase | kstatus |")[1].split("\n\n")[0]
    assert set(re.findall(r"\b[A-Z][A-Za-z]+\b", " ".join(row.split("|")[1] for row in table.splitlines()[2:]))) >= {
        *map(str, Phase)
    }
