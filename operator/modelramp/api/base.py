"""
The base of all models of the object: frozen, camelCase on the wire, unknown fields refused.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel


class ApiModel(BaseModel):
    """
    A part of the object that a user writes.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever the document holds
        """
        Drop nulls of known fields, as the API server does before it writes defaults.
        """
        if not isinstance(value, dict) or None not in value.values():
            return value  # the usual case, without a look at the fields
        known = {*cls.model_fields, *(field.alias for field in cls.model_fields.values())}
        return {key: item for key, item in value.items() if item is not None or key not in known}

    def to_wire(self) -> dict[str, Any]:
        """
        The part as the API server stores it, without absent fields.
        """
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """
    CEL rules with their messages, as `(rule, message)`, for a schema node.
    """
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}
