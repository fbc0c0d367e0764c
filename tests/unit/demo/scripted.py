"""A stage whose objects follow a script instead of an operator: what both soaks' lanes are tried on."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web
from aiohttp.typedefs import Handler
from demo.sight import seen
from demo.stage import Stage, StageError
from soak_evidence.lane import Watcher


@dataclass
class ScriptedStage(ABC):
    """Objects that are applied, and what becomes of them."""

    loop: asyncio.AbstractEventLoop
    url: str = ""
    gateway: str = "there/gw"
    environment: dict[str, str] = field(default_factory=dict)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """The name and version of each object that was applied."""
    refuses: str = ""
    """The name of an object that nobody may apply."""
    context: None = None

    @property
    def versions(self) -> list[str]:
        """The versions that were asked for, of whatever object."""
        return [version for _, version in self.asked]

    @abstractmethod
    async def follow(self, item: dict[str, Any]) -> None:
        """What an operator would do with the version the object asks for, much faster."""

    def apply(self, document: dict[str, Any]) -> None:
        """The status stays the old one: it is what a client sees right after it has applied."""
        if document["kind"] == "Namespace":
            return
        name, version = document["metadata"]["name"], document["spec"]["model"]["version"]
        if name == self.refuses:
            raise StageError("no such field: mirror")
        self.asked.append((name, version))
        known = self.objects.get(name, {"metadata": {"generation": 0}, "status": {}})
        generation = known["metadata"]["generation"] + 1
        self.objects[name] = {
            **document,
            "metadata": {"name": name, "generation": generation},
            "status": known["status"],
        }
        asyncio.run_coroutine_threadsafe(self.follow(self.objects[name]), self.loop)

    def say(self, item: dict[str, Any], phase: str, **status: object) -> None:
        """Write the status, which is then about the present generation."""
        generation = item["metadata"]["generation"]
        item["status"] = {**item["status"], "phase": phase, "observedGeneration": generation, "message": "", **status}


@asynccontextmanager
async def gateway_of(stage: ScriptedStage, routes: Mapping[str, Handler]) -> AsyncIterator[None]:
    """A gateway on a free port that answers posts to these paths; the stage names it."""
    app = web.Application()
    for path, answer in routes.items():
        app.router.add_post(path, answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stage.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield
    finally:
        await runner.cleanup()


class Looker(Watcher):
    """Sees the objects of the stage, without kubectl."""

    def __init__(self, stage: ScriptedStage) -> None:
        super().__init__(cast("Stage", stage))
        self._scripted = stage

    async def look(self) -> None:
        self._sights = {name: seen(item) for name, item in self._scripted.objects.items()}
