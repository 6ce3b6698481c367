"""The part of YAML that configs are written in: YAML 1.2's core schema, and bounds.

A word such as `no`, `1:30` or `2024-01-02` is text, as in YAML 1.2; PyYAML by itself reads YAML
1.1, where they are a boolean, a number in base 60 and a date. What the two versions read as
different numbers, such as 010, is refused, and so are numbers that no setting could have.
Source: https://yaml.org/spec/1.2.2/, section 10.3.
"""

import math
import re
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.scanner import ScannerError

from storage.words.visible import visible_line

_PREFIX = "tag:yaml.org,2002:"
_STR, _NULL, _BOOL, _INT, _FLOAT = (
    f"{_PREFIX}{kind}" for kind in ("str", "null", "bool", "int", "float")
)
_MERGE = f"{_PREFIX}merge"
_AMBIGUOUS = "!ambiguous"

_MAX_DEPTH = 50
_MAX_NODES = 20_000
_MAX_DIGITS = 18  # of an integer; 64 bits hold as many

_RESOLVED = {  # the first that matches a plain word says what it is
    _NULL: (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    _BOOL: (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    _MERGE: (r"<<", ["<"]),
    _AMBIGUOUS: (r"[-+]?0[0-9]+", list("-+0")),
    _INT: (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    _FLOAT: (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)"
        r"|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}


class ConfigLoader(yaml.SafeLoader):
    """Reads one document; every refusal is a `yaml.YAMLError` that knows its place."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as PyYAML has it

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._num_nodes = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """Compose a node, unless it stands too deep or there are too many."""
        self._depth += 1
        self._num_nodes += 1
        if self._depth > _MAX_DEPTH or self._num_nodes > _MAX_NODES:
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            raise _refusal(
                f"values more than {_MAX_DEPTH} levels deep, or more than {_MAX_NODES} of them",
                event.start_mark,
            )
        node: Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def get_single_node(self) -> Node | None:
        """Return the document's tree, whose aliases do not make it endless or huge."""
        node: Node | None = super().get_single_node()
        if node is not None:
            _measure(node, {})
        return node

    def scan_flow_scalar_non_spaces(self, double: bool, start_mark: Any) -> list[str]:
        """Return the pieces of a quoted text, none of them an escape of no character."""
        try:
            pieces: list[str] = super().scan_flow_scalar_non_spaces(double, start_mark)
        except (ValueError, OverflowError):  # of chr()
            place: Any = self.get_mark()
            found = "found an escape of no character"
            raise ScannerError(None, None, found, place) from None
        return pieces

    def construct_scalar(self, node: Any) -> str:
        """Return the text of a scalar."""
        text: str = super().construct_scalar(node)
        return _joined(text, node)


class ConfigDumper(yaml.SafeDumper):
    """Writes text so that it is text to YAML 1.1 and to `ConfigLoader`."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write what stands twice twice."""
        return True

    def represent_str(self, data: str) -> ScalarNode:
        """Write text with hidden characters in double quotes, where they are escapes."""
        style = None if visible_line(data) == data else '"'
        return ScalarNode(_STR, data, style=style)


def _refusal(found: str, mark: Any) -> ConstructorError:
    return ConstructorError(None, None, f"found {found}", mark)


def _joined(text: str, node: ScalarNode) -> str:
    """Join halves of surrogate pairs, as JSON writes them, and refuse what no path can hold."""
    if "\0" in text:
        raise _refusal("the character \\0", node.start_mark)
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise _refusal("half of a surrogate pair (\\ud800 to \\udfff)", node.start_mark) from None


def _measure(node: Node, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """Return how many nodes a tree has, and how deep it is, with every alias written out.

    Args:
        node: Root of the tree.
        known: Results of the nodes that were seen; None while their own are measured.
    """
    if id(node) in known:
        measured = known[id(node)]
        if measured is None:
            raise _refusal("a value that holds itself", node.start_mark)
        return measured
    known[id(node)] = None
    children = [_measure(child, known) for child in _children(node)]
    count = 1 + sum(number for number, _ in children)
    depth = 1 + max((below for _, below in children), default=0)
    if count > _MAX_NODES or depth > _MAX_DEPTH:
        found = f"aliases that make more than {_MAX_NODES} values or {_MAX_DEPTH} levels"
        raise _refusal(found, node.start_mark)
    known[id(node)] = count, depth
    return count, depth


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [child for pair in node.value for child in pair]
    return node.value if isinstance(node, SequenceNode) else []


def _construct_null(loader: ConfigLoader, node: ScalarNode) -> None:
    _matched(loader, node, _NULL)


def _construct_bool(loader: ConfigLoader, node: ScalarNode) -> bool:
    return _matched(loader, node, _BOOL).lower() == "true"


def _construct_int(loader: ConfigLoader, node: ScalarNode) -> int:
    text = _matched(loader, node, _INT)
    if len(text) > _MAX_DIGITS:
        raise _refusal(f"an integer of {len(text)} characters", node.start_mark)
    return int(text, 0 if text.startswith(("0o", "0x")) else 10)


def _construct_float(loader: ConfigLoader, node: ScalarNode) -> float:
    text = _matched(loader, node, _FLOAT).lower()
    number = float(text.replace(".inf", "inf").replace(".nan", "nan"))
    if not math.isfinite(number):
        raise _refusal(f"{text[:20]}, which is no finite number", node.start_mark)
    return number


def _matched(loader: ConfigLoader, node: ScalarNode, tag: str) -> str:
    """Return a scalar's text, which an explicit tag may not fit."""
    text = loader.construct_scalar(node)
    if not re.fullmatch(_RESOLVED[tag][0], text):
        raise _refusal(f"{text[:20]!r}, which is no {tag.removeprefix(_PREFIX)}", node.start_mark)
    return text


def _refuse_ambiguous(loader: ConfigLoader, node: ScalarNode) -> None:
    bare = node.value[:20].lstrip("-+0") or "0"
    raise _refusal(
        f"{node.value[:20]}, a number to some and octal to others (write {bare}, "
        f"0o{bare} or '{node.value[:20]}')",
        node.start_mark,
    )


def _refuse_tag(loader: ConfigLoader, node: Node) -> None:
    raise _refusal(f"the tag {node.tag[:60]}", node.start_mark)


ConfigDumper.add_representer(str, ConfigDumper.represent_str)
ConfigLoader.yaml_constructors = {
    _STR: yaml.SafeLoader.construct_yaml_str,
    f"{_PREFIX}seq": yaml.SafeLoader.construct_yaml_seq,
    f"{_PREFIX}map": yaml.SafeLoader.construct_yaml_map,
    _NULL: _construct_null,
    _BOOL: _construct_bool,
    _INT: _construct_int,
    _FLOAT: _construct_float,
    _AMBIGUOUS: _refuse_ambiguous,
    None: _refuse_tag,
}
for _tag, (_pattern, _first) in _RESOLVED.items():
    for _class in (ConfigLoader, ConfigDumper):
        _class.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), _first)
