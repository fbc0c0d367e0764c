"""MLServer's scikit-learn runtime, with every answer naming the model version that gave it.

Only documented means: a subclass as custom runtime, response headers in `parameters.headers` of an
inference response, and FastAPI's HTTPException, whose headers survive into the error answer.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import HTTPException
from mlserver.errors import MLServerError
from mlserver.types import Parameters
from mlserver_sklearn import SKLearnModel

if TYPE_CHECKING:
    from mlserver.types import InferenceRequest, InferenceResponse

VERSION_HEADER = "x-model-version"
_log = logging.getLogger("mlserver.digits")


class VersionedModel(SKLearnModel):  # type: ignore[misc]  # MLServer ships no types
    """A scikit-learn model that signs its answers, good and bad, with `x-model-version`."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """
        Answer one V2 request.

        Raises HTTPException: 500 when the model raises on the input, MLServer's own status
        (400 and the like) when the request does not fit the protocol; both name the version.
        MLServer's failure counter counts either.
        """
        headers = {VERSION_HEADER: str(self.version)}
        try:
            response = await super().predict(payload)
        except MLServerError as refusal:
            raise HTTPException(refusal.status_code, str(refusal), headers) from refusal
        except Exception as fault:
            _log.warning("version %s failed on an input: %s", self.version, fault)
            answer = f"model {self.name} version {self.version}: {type(fault).__name__}: {fault}"
            raise HTTPException(HTTPStatus.INTERNAL_SERVER_ERROR, answer, headers) from fault
        response.parameters = Parameters(headers=headers)
        return response
