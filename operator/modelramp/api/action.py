"""
What somebody asks of a rollout by annotation: reading the request. It is not carried out here.

Who may ask for what, and that nobody asks in another's name, is guarded where the annotation is written: by the
admission policy of `deploy/approvals.yaml`, which knows the same verbs, keys and lengths.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from modelramp.api.base import ApiModel

MAX_ID_LENGTH: Final = 63
MAX_BY_LENGTH: Final = 253
MAX_REVISION_LENGTH: Final = 253
MAX_STEP: Final = 999_999_999  # far above any number of steps; the admission policy's pattern has nine digits
_LINE: Final = r"^[^\x00-\x1f\x7f]+$"  # all are shown in messages and Events: one line, without control characters


class Verb(StrEnum):
    """
    What can be asked for.
    """

    PAUSE = "pause"
    """Keep the share where it is until somebody asks for something else; harm still rolls back."""
    RESUME = "resume"
    """Go on after any pause, with the evidence there is and the step's deadline begun again."""
    PROMOTE = "promote"
    """Take the present step as passed although it is not certified."""
    PROMOTE_FULL = "promote-full"
    """Take all steps as passed: the candidate is promoted."""
    ABORT = "abort"
    """Roll the candidate back and reject it."""
    RETRY = "retry"
    """Begin the rejected revision that the spec names again."""
    APPROVE = "approve"
    """Let the candidate enter the step that waits for a human's approval."""
    REJECT = "reject"
    """Refuse that approval: the candidate does not enter the step, and that is remembered."""
    UNDO = "undo"
    """Return to a kept revision that served before."""
    RESTART = "restart"
    """Replace the pods of the revision that serves."""


STEPPED: Final = frozenset({Verb.APPROVE, Verb.REJECT})
"""The verbs that answer a recommendation, and so name its step."""
GUARDED: Final = STEPPED | {Verb.PROMOTE, Verb.PROMOTE_FULL, Verb.UNDO}
"""The verbs that need the right to `update` `mlmodeldeployments/approve`: a human decides in place of the evidence."""


class ActionOutcome(StrEnum):
    """
    What became of a request.
    """

    DONE = "Done"
    """It was carried out in the write that remembers it."""
    REFUSED = "Refused"
    """It changed nothing; the message says why."""


ActionId = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH, pattern=_LINE)]


class ActionRequest(ApiModel):
    """
    The value of the action annotation.
    """

    model_config = ConfigDict(strict=True)

    id: ActionId
    """Chosen by whoever asks, new for each request: what tells a request from one that was answered."""
    verb: Annotated[Verb, Field(strict=False)]  # a string in JSON
    revision: Annotated[str, Field(min_length=1, max_length=MAX_REVISION_LENGTH, pattern=_LINE)]
    """The revision it is meant for, so that it never hits another one: the candidate; for `retry` the rejected one that
    the spec names, for `undo` a kept one, for `restart` the one that serves."""
    by: Annotated[str, Field(min_length=1, max_length=MAX_BY_LENGTH, pattern=_LINE)]
    """Who asks: the user's own name where the admission policy is in force, else a claim. Shown, and not trusted."""
    step: Annotated[int, Field(ge=1, le=MAX_STEP)] | None = None
    """The step's number as `status.recommendation` shows it, so that an answer never counts for a later step. Required
    for `approve` and `reject`; None for all other verbs."""

    @model_validator(mode="after")
    def _names_its_step(self) -> Self:
        """
        Only what answers a recommendation names its step.
        """
        if (self.step is not None) is not (self.verb in STEPPED):
            need = "is required for" if self.verb in STEPPED else "does not belong to"
            raise ValueError(f"step {need} the verb {self.verb}")
        return self


@dataclass(frozen=True, slots=True)
class UnreadableRequest:
    """
    An annotation that is no request: refused, and never ignored in silence.
    """

    id: str
    """The id it gives; a name made from its text where it gives none that can be read."""
    problem: str
    """Everything wrong with it, each with the key it is about."""


_OBJECT: Final = TypeAdapter(dict[str, Any])


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = [".".join(map(str, item["loc"])) + (": " if item["loc"] else "") + item["msg"] for item in found]
    # The names of unknown keys are anybody's text.
    return "".join(one if one.isprintable() else "?" for one in "; ".join(told))[:512]


def _name_of(text: str, fields: dict[str, Any]) -> str:
    try:
        return TypeAdapter(ActionId).validate_python(fields.get("id"))
    except ValidationError:
        return "unreadable-" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:10]


def read_action(text: str | None) -> ActionRequest | UnreadableRequest | None:
    """
    The request in an annotation; None: nothing is asked, as the annotation is absent or empty.
    """
    if not text:
        return None
    try:
        fields = _OBJECT.validate_json(text)
    except ValidationError as error:
        return UnreadableRequest(_name_of(text, {}), f"it is not a JSON object: {_problems(error)}")
    try:
        return ActionRequest.model_validate(fields)
    except ValidationError as error:
        return UnreadableRequest(_name_of(text, fields), _problems(error))
