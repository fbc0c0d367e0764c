"""Count requests per user, verb and resource from the API server's audit log."""

import datetime as dt
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from localcluster.parts import AUDIT_LOG
from localcluster.settings import ClusterError

_UNITS = {"s": 1, "m": 60, "h": 3600}


def since(text: str) -> str:
    """A duration back from now (`90s`, `10m`, `2h`) or a time in RFC 3339, as a time that compares as text."""
    duration = re.fullmatch(r"(\d+)([smh])", text)
    if duration is None:
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError as error:
            wanted = "90s, 10m, 2h or a time like 2026-01-31T12:00:00Z"
            raise ClusterError(f"--since wants {wanted}, not {text!r}") from error
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
    else:
        back = dt.timedelta(seconds=int(duration[1]) * _UNITS[duration[2]])
        moment = dt.datetime.now(dt.UTC) - back
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def requests(after: str = "") -> Iterator[dict[str, Any]]:
    """Every request received after the given time, once. A watch counts when it begins, anything else when it ends."""
    files = [*sorted(AUDIT_LOG.parent.glob("audit-*.log")), AUDIT_LOG]
    if not AUDIT_LOG.exists():
        raise ClusterError(f"there is no audit log at {AUDIT_LOG}: has the cluster been up?")
    for path in files:
        with path.open(errors="replace") as lines:
            for line in lines:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # the last line may be half written
                begun = event["stage"] == "ResponseStarted"
                if begun == (event["verb"] == "watch") and event["requestReceivedTimestamp"] >= after:
                    yield event


def count(after: str = "", user: str | None = None) -> Counter[tuple[str, str, str]]:
    """Requests by (user, verb, resource); `user` selects names that contain it."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for event in requests(after):
        name = event["user"].get("username", "")
        if user is not None and user not in name:
            continue
        target = event.get("objectRef", {})
        resource = target.get("resource") or event["requestURI"].split("?")[0]
        subresource = target.get("subresource")
        counts[name, event["verb"], f"{resource}/{subresource}" if subresource else resource] += 1
    return counts


def show(after: str, user: str | None, *, as_json: bool) -> None:
    """Print the counts: a table with a total per user, or a JSON list."""
    counts = count(after, user)
    if as_json:
        print(json.dumps([
            {"user": name, "verb": verb, "resource": resource, "requests": number}
            for (name, verb, resource), number in sorted(counts.items())
        ], indent=1))  # fmt: skip
        return
    totals = Counter[str]()
    for (name, _, _), number in counts.items():
        totals[name] += number
    for name, total in totals.most_common():
        print(f"{total:8}  {name}")
        mine = Counter({key[1:]: number for key, number in counts.items() if key[0] == name})
        for (verb, resource), number in mine.most_common():
            print(f"{number:8}    {verb} {resource}")
