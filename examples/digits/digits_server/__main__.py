"""Start MLServer with the one model that MODEL_URI and MODEL_VERSION name.

Does what `mlserver start` does, without the command line's own imports (a Triton client with gevent),
which cost memory and have no part in serving.
"""

from __future__ import annotations

import os

import uvloop
from mlserver.server import MLServer
from mlserver.settings import ModelParameters, ModelSettings, Settings

from digits_server.runtime import VersionedModel


def server_settings() -> Settings:
    """V2 over HTTP on 8080, counters on 8082; no worker processes: one model, one interpreter."""
    return Settings(
        server_name="digits",
        host="0.0.0.0",  # noqa: S104  # a pod serves on its own address
        http_port=8080,
        grpc_port=8081,
        metrics_port=8082,
        parallel_workers=0,
        gzip_enabled=False,
    )


def model_settings() -> ModelSettings:
    """The model called `digits`; KeyError when the environment does not say where it lies."""
    place = ModelParameters(uri=os.environ["MODEL_URI"], version=os.environ["MODEL_VERSION"])
    return ModelSettings(name="digits", implementation=VersionedModel, parameters=place)


async def serve() -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight."""
    await MLServer(server_settings()).start([model_settings()])


if __name__ == "__main__":
    uvloop.run(serve())
