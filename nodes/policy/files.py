"""`policy.yaml`: read strictly, checked against a schema that comes from the rules themselves, and written."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import jsonschema
import msgspec
import yaml

from nodes.policy.rules import NodePolicy
from protocols.errors import ConfigurationError

POLICY_FILE: Final = "policy.yaml"
BAD_POLICY: Final = "BAD_POLICY"

_HEADING: Final = """\
# What this node allows. The first rule that matches a request decides it; what no rule matches is denied.
# Check it:    credfed policy check policy.yaml
# Ask it:      credfed policy explain policy.yaml --bank NAME --purpose assessment
# Every rule:  credfed policy schema, or docs/policy.md
"""


class _StrictLoader(yaml.SafeLoader):
    """A YAML loader that refuses a key given twice: the last would win, and the owner would believe the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} occurs twice", node.start_mark)
        return super().construct_mapping(node, deep)


def policy_schema() -> object:
    """Return the JSON Schema of a policy."""
    return msgspec.json.schema(NodePolicy)


def read_policy(path: Path) -> NodePolicy:
    """Return the policy of a YAML file. Raises: ConfigurationError, code BAD_POLICY, saying what is wrong and where."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)  # noqa: S506
        _check_schema(path, document)
        policy = msgspec.convert(document, NodePolicy)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read", code=BAD_POLICY) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise ConfigurationError(f"{path}, line {line}: {error.problem}", code=BAD_POLICY) from error
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}", code=BAD_POLICY) from error
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError) as error:  # PyYAML lets these out, of dates too
        raise ConfigurationError(f"{path}: not YAML in UTF-8", code=BAD_POLICY) from error
    names = [rule.name for rule in policy.rules]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{path}: two rules are named {name!r}", code=BAD_POLICY)
    return policy


def _check_schema(path: Path, document: object) -> None:
    """Return if a document has the form of a policy; otherwise name the innermost thing that is wrong."""
    validator = jsonschema.Draft202012Validator(policy_schema())  # type: ignore[arg-type]
    error = jsonschema.exceptions.best_match(validator.iter_errors(document))
    if error is not None:
        raise ConfigurationError(f"{path}: {_place(error.absolute_path)}: {error.message}", code=BAD_POLICY)


def _place(steps: object) -> str:
    found = ""
    for step in steps:  # type: ignore[attr-defined]
        found += f"[{step + 1}]" if isinstance(step, int) else f".{step}"
    return found.removeprefix(".") or "the document"


def write_policy(path: Path, policy: NodePolicy) -> None:
    """Write a policy so that its owner can read and change it."""
    text = yaml.safe_dump(msgspec.to_builtins(policy), sort_keys=False, allow_unicode=True, width=120)
    path.write_text(f"{_HEADING}\n{text}", encoding="utf-8")
