"""Files of the command line: which scenarios an argument means, and results that are whole or not there at all."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from k8sim.cli.failures import UsageProblem

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_SCENARIO: Final = re.compile(r"^\s*(?:kind:\s*['\"]?Scenario\b|apiVersion:\s*['\"]?k8sim\.dev/)", re.MULTILINE)
_OBJECT: Final = re.compile(r"""^\s*["']?apiVersion["']?\s*:""", re.MULTILINE)


def scenario_files(arguments: Iterable[str]) -> list[Path]:
    """Return the scenario files that arguments name, each once, in the order given.

    A file counts whatever is in it (loading it says what is wrong); of a folder, the files directly in it that hold a
    Scenario document; a pattern that the shell has not expanded, what matches it.

    Raises
    ------
    UsageProblem
        A folder or a pattern without any scenario.
    """
    return _files(arguments, _SCENARIO, "scenario file", "a scenario file has a document of kind: Scenario")


def only_scenario(argument: Path) -> Path:
    """Return the one scenario file that an argument names.

    Raises
    ------
    UsageProblem
        None, or several.
    """
    paths = scenario_files([str(argument)])
    if len(paths) > 1:
        raise UsageProblem(f"{argument}: {len(paths)} scenario files", "name one of them")
    return paths[0]


def manifest_files(arguments: Iterable[str]) -> list[Path]:
    """Return the files with Kubernetes objects or scenarios that arguments name, as `scenario_files` does.

    Raises
    ------
    UsageProblem
        A folder or a pattern without any.
    """
    return _files(arguments, _OBJECT, "manifest", "a manifest has apiVersion and kind")


def _files(arguments: Iterable[str], wanted: re.Pattern[str], what: str, hint: str) -> list[Path]:
    found: dict[Path, None] = {}
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            matches = [p for p in sorted(path.iterdir()) if p.suffix in _SUFFIXES and _holds(p, wanted)]
        elif glob.has_magic(argument) and not path.exists():
            matches = [p for p in map(Path, sorted(glob.glob(argument, recursive=True))) if _holds(p, wanted)]  # noqa: PTH207
        else:
            matches = [path]
        if not matches:
            raise UsageProblem(f"{argument}: no {what} there", hint)
        found.update(dict.fromkeys(matches))
    return list(found)


def _holds(path: Path, wanted: re.Pattern[str]) -> bool:
    if not path.is_file():
        return False
    try:
        return bool(wanted.search(path.read_text("utf-8", errors="replace")))
    except OSError:
        return True  # loading it will say what is wrong


def check_stems(paths: Iterable[Path], becomes: str) -> None:
    """See that no two files would have their results at the same place, which has their names without suffix.

    Raises
    ------
    UsageProblem
        Two would.
    """
    seen: dict[str, Path] = {}
    for path in paths:
        if path.stem in seen:
            raise UsageProblem(f"{seen[path.stem]} and {path} would both become {path.stem}{becomes}")
        seen[path.stem] = path


def check_writable(target: Path, *, folder: bool) -> None:
    """See that a target can be written to, before long work is begun; nothing is made yet.

    Raises
    ------
    UsageProblem
        It cannot.
    """
    if folder and target.exists() and not target.is_dir():
        raise UsageProblem(f"{target} is a file", "several results need a folder")
    if not folder and target.is_dir():
        raise UsageProblem(f"{target} is a folder", "name a file in it")
    place = target if folder else target.parent
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise UsageProblem(f"cannot write {target}: {place} is a file")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UsageProblem(f"cannot write {target}: no permission to write to {place}")


def write_whole(target: Path, content: bytes) -> None:
    """Write a file in one go, and the folders above it: readers see the old content or all of the new one.

    Raises
    ------
    UsageProblem
        The disk is full, or writing is not permitted.
    """
    temporary = None
    target = Path(os.path.realpath(target))  # a link stays a link
    try:
        if target.exists() and not target.is_file():  # a pipe, /dev/stdout
            target.write_bytes(content)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # as open() would have made it
        temporary.replace(target)
        temporary = None
    except OSError as problem:
        raise UsageProblem(f"cannot write {target}: {problem.strerror}") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
