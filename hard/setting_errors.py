"""An error of pydantic's → one plain sentence that begins with the setting's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# By pydantic's type of error: what the value must be. Names in braces are of the error's context.
_MUST = {
    "missing": "must be set",
    "extra_forbidden": "there is no such setting",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "path_type": "must be a path",
    "tuple_type": "must be a list",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "literal_error": "must be {expected}",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters long",
    "too_long": "must be at most {max_length} characters long",
    "string_pattern_mismatch": "may only have letters, digits, _ . and -",
}


def sentence(problem: Mapping[str, Any]) -> str:
    """`problem` is one entry of `ValidationError.errors()`."""
    name = ".".join(str(part) for part in problem["loc"])
    template = _MUST.get(problem["type"])
    if template:
        message = template.format_map(problem.get("ctx", {})).replace("'", "")
    else:
        message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{name}: {message[:1].lower()}{message[1:]}"
