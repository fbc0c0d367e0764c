"""MLServer's scikit-learn runtime, with every answer naming the model version that gave it.

Only documented means: a subclass as custom runtime, response headers in `parameters.headers` of an
inference response, and FastAPI's HTTPException, whose headers survive into the error answer.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import HTTPException
from mlserver.errors import MLServerError
from mlserver.types import Parameters
from mlserver_sklearn import SKLearnModel
from prometheus_client import Counter

from digits_server.knobs import OTHER_TENANT, Knobs, Trouble

if TYPE_CHECKING:
    from mlserver.types import InferenceRequest, InferenceResponse

VERSION_HEADER = "x-model-version"
TENANT_HEADER = "x-tenant"
# In prometheus_client's own registry, which MLServer shows on its metrics port while it has no worker processes.
REQUESTS = Counter("digits_requests", "Inference requests by tenant and outcome.", ("tenant", "outcome"))
_log = logging.getLogger("mlserver.digits")


class SimulatedFailureError(Exception):
    """A failure that a knob asked for."""


class VersionedModel(SKLearnModel):  # type: ignore[misc]  # MLServer ships no types
    """A scikit-learn model that signs its answers, good and bad, with `x-model-version`."""

    async def load(self) -> bool:
        """Load the model, read the knobs, and show every series at 0 before the first request could raise one."""
        self._trouble = Trouble(Knobs.from_environment(os.environ))
        for tenant in (*self._trouble.knobs.tenants, OTHER_TENANT):
            for outcome in ("ok", "failed"):
                REQUESTS.labels(tenant, outcome)
        return bool(await super().load())

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """
        Answer one V2 request.

        Raises HTTPException: 500 when the model raises on the input or a knob says so, MLServer's own
        status (400 and the like) when the request does not fit the protocol; both name the version.
        MLServer's failure counter counts either, and so does `digits_requests_total`.
        """
        headers = {VERSION_HEADER: str(self.version)}
        tenant, outcome = tenant_of(payload), "failed"
        try:
            response = await self._predict(payload, tenant)
            outcome = "ok"
        except MLServerError as refusal:
            raise HTTPException(refusal.status_code, str(refusal), headers) from refusal
        except Exception as fault:
            _log.warning("version %s failed on an input: %s", self.version, fault)
            answer = f"model {self.name} version {self.version}: {type(fault).__name__}: {fault}"
            raise HTTPException(HTTPStatus.INTERNAL_SERVER_ERROR, answer, headers) from fault
        finally:
            REQUESTS.labels(self._trouble.counted_as(tenant), outcome).inc()
        response.parameters = Parameters(headers=headers)
        return response

    async def _predict(self, payload: InferenceRequest, tenant: str | None) -> InferenceResponse:
        """Predict after the simulated service time, which a failing request takes as well."""
        fails = self._trouble.fails(tenant, time.monotonic())
        if (seconds := self._trouble.service_seconds()) > 0.0:
            await asyncio.sleep(seconds)
        if fails:
            msg = "simulated failure"
            raise SimulatedFailureError(msg)
        return await super().predict(payload)


def tenant_of(payload: InferenceRequest) -> str | None:
    """The tenant that the request's header `x-tenant` names; None without one."""
    headers = getattr(payload.parameters, "headers", None) or {}
    tenant: str | None = headers.get(TENANT_HEADER)
    return tenant
