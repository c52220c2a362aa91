"""Read a CloudFormation template and resolve its functions."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

# Parameters, pseudo parameters and resources share one namespace; exports of other stacks contain hyphens.
Names = Mapping[str, str]
_ABSENT = {"Ref": "AWS::NoValue"}


@dataclass(frozen=True)
class Template:
    """A file of `deploy/cloudformation/`, or the template of a deployed stack."""

    name: str
    body: str
    parameters: Mapping[str, Mapping[str, Any]]
    mappings: Mapping[str, Any]
    conditions: Mapping[str, Any]
    all_resources: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Mapping[str, Any]]

    def names(self, given: Names) -> dict[str, str]:
        """Return the value of each parameter: given, else the template's default."""
        defaults = {name: str(p["Default"]) for name, p in self.parameters.items() if "Default" in p}
        return defaults | dict(given)

    def resources(self, names: Names) -> dict[str, Mapping[str, Any]]:
        """Return the resources, by logical id, that exist under these values."""
        return {
            logical_id: resource
            for logical_id, resource in self.all_resources.items()
            if "Condition" not in resource or self._holds({"Condition": resource["Condition"]}, names)
        }

    def resolve(self, value: Any, names: Names) -> Any:
        """Return `value` with the intrinsic functions resolved whose names are known; the others stay."""
        if isinstance(value, list):
            return [self.resolve(item, names) for item in value if item != _ABSENT]
        if not isinstance(value, dict):
            return value
        match value:
            case {"Ref": name}:
                return names.get(name, value)
            case {"Fn::GetAtt": [resource, attribute]}:
                return names.get(f"{resource}.{attribute}", value)
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{([^}!]+)\}", lambda found: names.get(found[1], found[0]), text)
            case {"Fn::Sub": [text, more]}:
                known = {name: self.resolve(item, names) for name, item in more.items()}
                texts = {name: item for name, item in known.items() if isinstance(item, str)}
                return self.resolve({"Fn::Sub": text}, {**names, **texts})
            case {"Fn::Base64": text}:
                plain = self.resolve(text, names)
                whole = isinstance(plain, str) and "${" not in plain
                return base64.b64encode(plain.encode()).decode() if whole else value
            case {"Fn::ImportValue": export}:
                return names.get(str(self.resolve(export, names)), value)
            case {"Fn::Select": [index, items]}:
                # A Ref to a list is text with commas.
                found = self.resolve(items, names)
                return found.split(",")[int(index)] if isinstance(found, str) else value
            case {"Fn::FindInMap": [name, key, attribute]}:
                return self.mappings[name][str(self.resolve(key, names))][attribute]
            case {"Fn::If": [condition, if_true, if_false]}:
                return self.resolve(if_true if self._holds({"Condition": condition}, names) else if_false, names)
        resolved = {key: self.resolve(item, names) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item != _ABSENT}

    def _holds(self, condition: Any, names: Names) -> bool:
        match condition:
            case {"Condition": name}:
                return self._holds(self.conditions[name], names)
            case {"Fn::Not": [inner]}:
                return not self._holds(inner, names)
            case {"Fn::And": [*inner]}:
                return all(self._holds(one, names) for one in inner)
            case {"Fn::Or": [*inner]}:
                return any(self._holds(one, names) for one in inner)
            case {"Fn::Equals": [left, right]}:
                return str(self.resolve(left, names)) == str(self.resolve(right, names))
        raise ValueError(f"{self.name}: unknown condition function: {condition}")


def read(path: Path) -> Template:
    """Return the template in `path`."""
    return parse(path.name, path.read_text(encoding="utf-8"))


@cache
def parse(name: str, body: str) -> Template:
    """Parse a template; `name` is for errors."""
    document = _Loader(body).get_single_data()
    return Template(
        name,
        body,
        parameters=document.get("Parameters", {}),
        mappings=document.get("Mappings", {}),
        conditions=document.get("Conditions", {}),
        all_resources=document["Resources"],
        outputs=document.get("Outputs", {}),
    )


class _Loader(yaml.CSafeLoader):
    """YAML with CloudFormation's short forms: `!Ref a` is {"Ref": "a"}, `!Sub b` is {"Fn::Sub": "b"}."""


def _short_form(loader: _Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_scalar(node)  # type: ignore[arg-type]  # the third and last kind of node
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _short_form)
