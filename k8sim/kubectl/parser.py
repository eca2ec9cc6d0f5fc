"""From the text of a kubectl command to a checked `Command`. No shell: what only a shell understands is refused."""

from __future__ import annotations

import dataclasses
import re
import shlex
import typing
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Any

import yaml

from k8sim.api.scheme import KINDS, SHORT_NAMES, resolve_kind
from k8sim.kubectl.command import (
    Command,
    ImageChange,
    KeyChange,
    KubectlSyntaxError,
    Options,
    TaintChange,
    Target,
)
from k8sim.kubectl.fieldselector import parse_field_selector, selectable_fields
from k8sim.kubectl.grammar import (
    CATEGORY_ALL,
    INSTEAD,
    VERBS,
    DeleteOptions,
    KeysOptions,
    PatchOptions,
    ScaleOptions,
    SetResourcesOptions,
    Verb,
    WaitOptions,
)
from k8sim.kubectl.refusals import why_refused
from k8sim.kubectl.selector import parse_selector
from k8sim.sim.units import parse_duration

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_KEY = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")

_NAME = re.compile(r"[A-Za-z0-9:]([-A-Za-z0-9.:_]*[A-Za-z0-9])?")


@lru_cache(maxsize=1024)  # the replicates of a scenario have the same commands
def parse(text: str) -> Command:
    """Return the command that a text says; a leading word ``kubectl`` is allowed.

    Raises
    ------
    KubectlSyntaxError
        With the problem and mostly a hint.
    """
    words = _split(text)
    if words and words[0] == "kubectl":
        words = words[1:]
        text = text.strip().removeprefix("kubectl").strip()
    name, words = _verb(words)
    verb = VERBS[name]
    flags, words = _flags(name, verb, words)
    options = verb.options(**flags)
    objects, rest = _divide(verb, words)
    targets, kinds = _resources(name, verb, objects, options)
    command = Command(text, name, options, targets, kinds, _arguments(name, verb, rest, options))
    _check(command)
    return command


# ---- words ------------------------------------------------------------------------------------------------------


def _split(text: str) -> list[str]:
    text = text.strip().replace("\\\n", " ")
    found = _shell_syntax(text)
    if found:
        problem = f"{found!r} is for a shell, and no shell runs this command"
        raise KubectlSyntaxError(problem, "one kubectl command a step")
    try:
        return shlex.split(text)
    except ValueError as error:
        problem = "a quotation mark is not closed" if "quotation" in str(error) else str(error).lower()
        raise KubectlSyntaxError(problem) from None


def _shell_syntax(text: str) -> str:
    """Return what a shell would act on, outside of quotes ("" if nothing)."""
    quote = ""
    for i, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
            special = "`$" if quote == '"' else ""
        else:
            quote = character if character in "'\"" else ""
            special = "|<>;&\n`$"
        if character in special and (character != "$" or re.match(r"\$[({A-Za-z_]", text[i:])):
            return "line break" if character == "\n" else character
    return ""


def _verb(words: Sequence[str]) -> tuple[str, list[str]]:
    """Split off the verb: one or two words, flags of which may come first."""
    if not words:
        raise KubectlSyntaxError("the command is empty", f"one of: {', '.join(VERBS)}")
    if words[0].startswith("-"):
        raise KubectlSyntaxError(f"the command begins with the flag {words[0]}", "put flags behind the verb")
    first = words[0]
    seconds = [name.split()[1] for name in VERBS if name.startswith(f"{first} ")]
    if seconds:
        if len(words) < 2 or words[1] not in seconds:
            said = f"{first} {words[1]}" if len(words) > 1 else first
            raise KubectlSyntaxError(f"{said!r} is not supported", f"{first} with one of: {', '.join(seconds)}")
        return f"{first} {words[1]}", list(words[2:])
    if first not in VERBS:
        hint = INSTEAD.get(first) or _did_you_mean(first, VERBS, "supported")
        raise KubectlSyntaxError(f"{first!r} is not supported", hint)
    return first, list(words[1:])


def _did_you_mean(word: str, known: Any, otherwise: str) -> str:
    close = get_close_matches(word, list(known), 1, 0.7)
    return f"did you mean {close[0]}?" if close else f"{otherwise}: {', '.join(known)}"


# ---- flags ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Flag:
    field: str
    type: Any
    choices: tuple[str, ...]
    bare: str | None
    duration: bool


@cache
def _flag_table(verb: str) -> dict[str, _Flag]:
    """Return flag ("--force", "-n") -> field."""
    options = VERBS[verb].options
    hints = typing.get_type_hints(options)
    table = {}
    for field in dataclasses.fields(options):
        meta = field.metadata
        type_ = hints[field.name]
        flag = _Flag(field.name, type_, meta["choices"], "true" if type_ is bool else meta["bare"], meta["duration"])
        table["--" + (meta["flag"] or field.name.replace("_", "-"))] = flag
        if meta["short"]:
            table["-" + meta["short"]] = flag
    return table


def _flags(name: str, verb: Verb, words: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Separate flags from other words, as pflag does: they may be mixed, and ``--`` ends the flags."""
    table = _flag_table(name)
    values: dict[str, Any] = {}
    rest: list[str] = []
    todo = list(words)
    while todo:
        word = todo.pop(0)
        if word == "--":
            return values, rest + todo
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        if word.startswith("--"):
            flag_name, sign, value = word.partition("=")
        else:
            flag_name, value = word[:2], word[2:]
            sign = "=" if value else ""
            value = value.removeprefix("=")
        flag = table.get(flag_name)
        if flag is None:
            raise _unknown_flag(name, flag_name, table)
        if not sign:
            if flag.bare is not None:
                if flag.choices and todo and todo[0] in flag.choices:
                    problem = f"write {flag_name}={todo[0]}"
                    raise KubectlSyntaxError(problem, f"{flag_name} takes no value behind a space")
                value = flag.bare
            elif todo:
                value = todo.pop(0)
            else:
                raise KubectlSyntaxError(f"the flag {flag_name} needs a value", f"for instance: {verb.usage}")
        values[flag.field] = _value(flag_name, flag, value)
    return values, rest


def _unknown_flag(name: str, flag: str, table: Mapping[str, _Flag]) -> KubectlSyntaxError:
    why = why_refused(name, flag)
    if why:
        return KubectlSyntaxError(f"kubectl {name} has a flag {flag}, which is not simulated", why)
    return KubectlSyntaxError(f"{name} has no flag {flag}", _did_you_mean(flag, table, "flags"))


def _value(name: str, flag: _Flag, text: str) -> Any:
    if flag.choices and text not in flag.choices:
        raise KubectlSyntaxError(f"{name}={text} is not possible", f"one of: {', '.join(flag.choices)}")
    if flag.type is bool:
        if text.lower() not in ("true", "false", "t", "f", "1", "0"):
            raise KubectlSyntaxError(f"{name}={text}: expected true or false")
        return text.lower() in ("true", "t", "1")
    if flag.duration:
        try:
            return parse_duration(text, signed=True)
        except ValueError as error:
            raise KubectlSyntaxError(f"{name}: {error}") from None
    if flag.type is int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            raise KubectlSyntaxError(f"{name}={text}: expected a number")
        return int(text)
    return text


# ---- objects ----------------------------------------------------------------------------------------------------


def _divide(verb: Verb, words: list[str]) -> tuple[list[str], list[str]]:
    """Split the words into those that name objects and the pairs that follow (cmd/util GetResourcesAndPairs)."""
    for i, word in enumerate(words):
        if verb.arguments in ("images", "variables") and "=" in word:
            return words[:i], words[i:]
        if verb.arguments in ("keys", "variables") and i > 0 and ("=" in word or word.endswith("-")):
            return words[:i], words[i:]
        if verb.arguments == "taints" and i > 0 and ("=" in word or ":" in word or word.endswith("-")):
            return words[:i], words[i:]
    return words, []


def _resources(name: str, verb: Verb, words: list[str], options: Options) -> tuple[tuple[Target, ...], tuple[str, ...]]:
    """Return the named objects, or the kinds that a selector or --all speaks of."""
    found = any(getattr(options, flag, "") for flag in ("selector", "field_selector", "all"))
    if verb.nodes:
        if words and found:
            raise KubectlSyntaxError(f"{name} takes names of nodes or a selector, not both")
        if not words and not found:
            raise KubectlSyntaxError(f"{name} needs the name of a node", f"for instance: {verb.usage}")
        return tuple(_target("Node", word.rpartition("/")[2]) for word in words), ("Node",) if found else ()
    if not words:
        raise KubectlSyntaxError(f"{name} needs an object", f"for instance: {verb.usage}")
    if any("/" in word for word in words):
        if found:
            raise KubectlSyntaxError("names and a selector (or --all) exclude each other")
        return tuple(_slashed(name, verb, word) for word in words), ()
    kinds = tuple(dict.fromkeys(kind for word in words[0].split(",") for kind in _kinds(name, verb, word)))
    names = words[1:]
    if names and found:
        raise KubectlSyntaxError("names and a selector (or --all) exclude each other")
    if not names and not found and not verb.whole_kinds:
        raise KubectlSyntaxError(
            f"{words[0]}: a type, but no name",
            f"for instance: {verb.usage}" + ("; or -l SELECTOR or --all" if hasattr(options, "all") else ""),
        )
    targets = tuple(_target(kind, n) for kind in kinds for n in names)
    return targets, () if names else kinds


def _slashed(name: str, verb: Verb, word: str) -> Target:
    type_, _, object_name = word.partition("/")
    if not type_ or not object_name or "/" in object_name:
        if type_ and "/" not in word:
            raise KubectlSyntaxError(
                f"{word!r} stands alone between TYPE/NAME words", "write every object as TYPE/NAME"
            )
        raise KubectlSyntaxError(f"{word!r} is not TYPE/NAME", f"for instance: {verb.usage}")
    kinds = _kinds(name, verb, type_)
    if len(kinds) != 1:
        raise KubectlSyntaxError(f"{word!r}: {type_} is not one type")
    return _target(kinds[0], object_name)


def _target(kind: str, name: str) -> Target:
    if not _NAME.fullmatch(name):
        hint = "names are exact; for several objects use -l or --all" if re.search(r"[*?]", name) else None
        raise KubectlSyntaxError(f"{name!r} is no name of an object", hint)
    return Target(kind, name)


def _kinds(name: str, verb: Verb, word: str) -> tuple[str, ...]:
    if word == "all" and not verb.kinds:
        return CATEGORY_ALL
    kind = resolve_kind(word)
    if kind is None:
        known = [k.kind.lower() for k in KINDS]
        hint = _did_you_mean(word.lower(), [*known, *(k.plural for k in KINDS), *SHORT_NAMES], "")
        raise KubectlSyntaxError(
            f"there is no resource type {word!r} here",
            hint if hint.startswith("did") else f"simulated are: {', '.join(known)}",
        )
    if verb.kinds and kind not in verb.kinds:
        raise KubectlSyntaxError(f"{name} does not work on {word}", f"it works on: {', '.join(verb.kinds)}")
    return (kind,)


# ---- arguments --------------------------------------------------------------------------------------------------


def _arguments(name: str, verb: Verb, words: list[str], options: Options) -> tuple[Any, ...]:
    usage = f"for instance: {verb.usage}"
    if verb.arguments == "patch":
        assert isinstance(options, PatchOptions)
        return (_patch_document(options, usage),)
    if verb.arguments == "none":
        return ()
    if not words:
        what = {"images": "CONTAINER=IMAGE", "keys": "KEY=VALUE or KEY-", "variables": "KEY=VALUE or KEY-"}
        raise KubectlSyntaxError(f"{name} needs {what.get(verb.arguments, 'a taint')}", usage)
    if verb.arguments == "images":
        return tuple(_image(word, usage) for word in words)
    if verb.arguments == "taints":
        return tuple(_taint(word, usage) for word in words)
    return tuple(_key(word, usage) for word in words)


def _image(word: str, usage: str) -> ImageChange:
    container, sign, image = word.partition("=")
    if not sign or not container or not image:
        raise KubectlSyntaxError(f"{word!r} is not CONTAINER=IMAGE", usage)
    return ImageChange(container, image)


def _key(word: str, usage: str) -> KeyChange:
    key, sign, value = word.partition("=")
    if sign:
        change = KeyChange(key, value)
    elif word.endswith("-"):
        change = KeyChange(word[:-1], None)
    else:
        raise KubectlSyntaxError(f"{word!r} is neither KEY=VALUE nor KEY-", usage)
    if not _KEY.fullmatch(change.key):
        raise KubectlSyntaxError(f"{change.key!r} is not a valid key", usage)
    return change


def _taint(word: str, usage: str) -> TaintChange:
    """Read ``key=value:effect``, ``key:effect``, and with a ``-`` behind it for removal (cmd/taint/utils.go)."""
    remove = word.endswith("-")
    body, colon, effect = (word[:-1] if remove else word).partition(":")
    key, _, value = body.partition("=")
    if not _KEY.fullmatch(key):
        raise KubectlSyntaxError(f"{word!r} is not KEY[=VALUE]:EFFECT", usage)
    if (colon and effect not in EFFECTS) or (not colon and not remove):
        raise KubectlSyntaxError(f"{word!r}: the effect is one of {', '.join(EFFECTS)}", usage)
    return TaintChange(key, value, effect, remove)


def _patch_document(options: PatchOptions, usage: str) -> Any:
    if not options.patch:
        raise KubectlSyntaxError("patch needs -p", usage)
    try:
        document = yaml.safe_load(options.patch)  # kubectl takes YAML too
    except yaml.YAMLError as error:
        raise KubectlSyntaxError(f"the patch is neither JSON nor YAML: {' '.join(str(error).split())}") from None
    wanted, what = (list, "a list of operations") if options.type == "json" else (dict, "a mapping")
    if not isinstance(document, wanted):
        hint = "--type=json is for lists of operations" if options.type != "json" else None
        raise KubectlSyntaxError(f"a patch of type {options.type} is {what}", hint)
    if isinstance(document, list):
        _check_operations(document)
    return document


def _check_operations(document: list[Any]) -> None:
    for operation in document:
        if not isinstance(operation, dict) or not {"op", "path"} <= set(operation):
            raise KubectlSyntaxError("every operation of a JSON patch has op and path")
        op = operation["op"]
        if op not in ("add", "remove", "replace", "move", "copy", "test"):
            raise KubectlSyntaxError(f"a JSON patch has no operation {op!r}")
        needs = {"add": "value", "replace": "value", "test": "value", "move": "from", "copy": "from"}.get(op)
        if needs is not None and needs not in operation:
            raise KubectlSyntaxError(f"the operation {op} of a JSON patch needs {needs}")
        if not str(operation["path"]).startswith("/") and operation["path"] != "":
            raise KubectlSyntaxError(f"path {operation['path']!r} of a JSON patch does not begin with /")


# ---- the whole --------------------------------------------------------------------------------------------------


def _check(command: Command) -> None:
    """Check what spans several parts, as the commands' own Validate does."""
    options = command.options
    for text in (getattr(options, "selector", ""), getattr(options, "pod_selector", "")):
        try:
            parse_selector(text)
        except ValueError as error:
            raise KubectlSyntaxError(str(error)) from None
    _check_selection(command)
    if isinstance(options, DeleteOptions):
        _check_delete(options)
    elif isinstance(options, ScaleOptions) and options.replicas < 0:
        raise KubectlSyntaxError("scale needs --replicas=COUNT, and COUNT is at least 0")
    elif isinstance(options, SetResourcesOptions):
        if not options.limits and not options.requests:
            raise KubectlSyntaxError("set resources needs --limits or --requests")
        for pair in ",".join(filter(None, (options.limits, options.requests))).split(","):
            if not re.fullmatch(r"[^=,]+=[^=,]+", pair):
                raise KubectlSyntaxError(f"{pair!r} is not RESOURCE=QUANTITY")
    elif isinstance(options, WaitOptions):
        _check_condition(options.condition)
    elif isinstance(options, KeysOptions):
        _check_keys(command)


def _check_selection(command: Command) -> None:
    options = command.options
    fields = getattr(options, "field_selector", "")
    if getattr(options, "all", False) and (getattr(options, "selector", "") or fields):
        raise KubectlSyntaxError("--all excludes -l and --field-selector")
    if getattr(options, "all_namespaces", False) and command.targets:
        raise KubectlSyntaxError("an object cannot be named across all namespaces")
    try:
        required = parse_field_selector(fields)
    except ValueError as error:
        raise KubectlSyntaxError(str(error)) from None
    for kind in command.kinds:
        known = selectable_fields(kind)
        for path, *_ in required:
            if path not in known:
                raise KubectlSyntaxError(
                    f"field label not supported: {path}", f"a {kind} is selected by: {', '.join(known)}"
                )


def _check_delete(options: DeleteOptions) -> None:
    if options.now and options.grace_period != -1:
        raise KubectlSyntaxError("--now and --grace-period exclude each other")
    if options.force and options.grace_period > 0:
        raise KubectlSyntaxError("--force and a --grace-period greater than 0 exclude each other")


def _check_keys(command: Command) -> None:
    seen: dict[str, KeyChange] = {}
    for change in command.arguments:
        if change.key in seen and (change.value is None) != (seen[change.key].value is None):
            raise KubectlSyntaxError(f"can not both modify and remove {change.key!r} in the same command")
        seen[change.key] = change


def _check_condition(text: str) -> None:
    if text in ("delete", "create") or re.fullmatch(r"condition=[^=]+(=[^=]+)?", text):
        return
    if re.fullmatch(r"jsonpath=\{?\.[^=]+\}?(=.+)?", text):
        return
    raise KubectlSyntaxError(
        f"--for={text} is not possible" if text else "wait needs --for",
        "one of: delete, create, condition=NAME[=VALUE], jsonpath={PATH}[=VALUE]",
    )
