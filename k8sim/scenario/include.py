"""`include`: more manifests, from files, folders and globs relative to the file that names them."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Final

from k8sim.scenario.part import Part
from k8sim.scenario.yamlsource import Document, read_file

MAX_FILES: Final = 1000
_SUFFIXES: Final = (".yaml", ".yml", ".json")


def included_documents(part: Part | None, name: str, folder: Path, including: Path | None) -> list[Document]:
    """Documents of all included files, in the order of the list (and by name within a folder or glob).

    Parameters
    ----------
    name, including
        The scenario file, as messages call it and as a path (None: it is a text).
    folder
        Where relative paths start.

    Raises
    ------
    ScenarioError
        An entry matches nothing, a file stands in a cycle, or an included file has a Scenario of its own.
    """
    documents: list[Document] = []
    seen: set[Path] = set()
    for entry in part.items() if part else ():
        for path in matching_files(entry, folder, including):
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            if len(seen) > MAX_FILES:
                raise entry.error(f"more than {MAX_FILES} files")
            chain = [(name, including), (str(path), path)]
            if including is not None and path.resolve() == including.resolve():
                raise entry.error(f"includes itself: {name} -> {path}")
            found = read_file(path)
            for document in found:
                _refuse_scenario(document, entry, chain)
            documents += found
    return documents


def matching_files(entry: Part, folder: Path, including: Path | None) -> list[Path]:
    """Return the files that a path means: one file, those of a folder, or those that a glob matches."""
    text = entry.word()
    target = folder / text
    if target.is_dir():
        paths = sorted(p for p in target.iterdir() if p.suffix in _SUFFIXES and p.is_file())
    elif glob.has_magic(text) and not target.exists():
        root, pattern = (
            (Path(target.anchor), str(target.relative_to(target.anchor)))
            if target.is_absolute()
            else (Path(), str(target))
        )
        paths = sorted(p for p in root.glob(pattern) if p.is_file())
    elif target.exists():
        return [target]
    else:
        raise entry.error(f"no such file: {target}", f"paths are relative to {folder}")
    # A folder or glob may well hold the scenario itself.
    paths = [p for p in paths if including is None or p.resolve() != including.resolve()]
    if not paths:
        raise entry.error(f"{text!r} matches no file", f"paths are relative to {folder}")
    return paths


def _refuse_scenario(document: Document, entry: Part, chain: list[tuple[str, Path | None]]) -> None:
    """Refuse an included Scenario; if its own includes lead back, say so, with the chain."""
    data = document.data
    if not isinstance(data, dict) or data.get("kind") != "Scenario":
        return
    cycle = _cycle(document, chain)
    if cycle is not None:
        raise entry.error(f"the includes go round in a circle: {' -> '.join(cycle)}")
    raise document.error((), f"a Scenario document in a file that {chain[0][0]} includes", "include only manifests")


def _cycle(document: Document, chain: list[tuple[str, Path | None]]) -> list[str] | None:
    spec = document.data.get("spec")
    include = spec.get("include") if isinstance(spec, dict) else None
    folder = chain[-1][1].parent if chain[-1][1] is not None else Path()
    for text in include if isinstance(include, list) else ():
        target = folder / str(text)
        names = [name for name, _ in chain]
        if any(path is not None and path.resolve() == target.resolve() for _, path in chain):
            return [*names, str(target)]
        if len(chain) < 20 and target.is_file():
            for inner in read_file(target):
                if isinstance(inner.data, dict) and inner.data.get("kind") == "Scenario":
                    found = _cycle(inner, [*chain, (str(target), target)])
                    if found is not None:
                        return found
    return None
