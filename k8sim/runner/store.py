"""Results on disk: a folder of Parquet files, one a shard, and what is needed to go on.

``batch.json`` says what is being run, above all a fingerprint of the scenario, its variants and the seed: shards of
something else are never taken for this batch's. A file is written under another name, synced and renamed: at whatever
point the program is killed, what bears a shard's name is whole. Columns: ``variant``, ``replicate``, a float for each
number, a list of floats for each list.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from k8sim.runner.shards import Columns, Shard
from k8sim.scenario.model import Source

if TYPE_CHECKING:
    import pyarrow as pa

    from k8sim.scenario.sweep import Variant

_SHARD: Final = re.compile(r"v(\d+)-r(\d+)-n(\d+)\.parquet")
_BATCH: Final = "batch.json"
_WITHOUT_INFLUENCE: Final = (
    "path", "object_sources", "not_simulated", "replicates", "seed", "objectives", "description", "source",
)  # fmt: skip


class StoreProblem(Exception):
    """The folder cannot be used, by the user's fault; says why and what would help."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(f"{problem}; {hint}")
        self.problem, self.hint = problem, hint


def fingerprint(variants: Sequence[Variant], seed: int, engine: str) -> str:
    """Return a digest of all that determines results: scenarios, seed, engine, and the program's version."""
    from k8sim import __version__

    digest = hashlib.sha256(f"{__version__} {seed} {engine}".encode())
    for variant in variants:
        digest.update(repr(_plain({**variant.settings})).encode())
        digest.update(repr(_plain(variant.scenario)).encode())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """Return a value as tuples of what prints the same everywhere; without what has no influence on results."""
    if isinstance(value, Source):
        return None
    if is_dataclass(value):
        names = (f.name for f in fields(value) if f.name not in _WITHOUT_INFLUENCE)
        return (type(value).__name__, *((name, _plain(getattr(value, name))) for name in names))
    if isinstance(value, Mapping):
        return tuple((key, _plain(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, set | frozenset):
        return tuple(sorted(repr(_plain(item)) for item in value))
    return value


class Store:
    """A folder of shards.

    Parameters
    ----------
    about
        What ``batch.json`` says; ``fingerprint`` and ``shard_size`` count when a batch is resumed.
    resume
        Take over the shards of an earlier, interrupted run; otherwise the folder must hold none.
    """

    def __init__(self, folder: Path, about: dict[str, Any], resume: bool = False) -> None:
        if not available():
            raise StoreProblem("Parquet files need the package pyarrow", "pip install 'k8sim[parquet]'")
        self.folder = folder
        path = folder / _BATCH
        if path.exists():
            earlier = _read(path)
            if not resume:
                raise StoreProblem(
                    f"{folder} holds results already", "--resume goes on with them, or name another folder"
                )
            if earlier.get("fingerprint") != about["fingerprint"]:
                raise StoreProblem(
                    f"{folder} holds results of something else",
                    "the scenario, its sweep, the seed, the engine or k8sim's version has changed: name another folder",
                )
            about = {**about, "shard_size": earlier["shard_size"]}
        self.about = about
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(about, indent=2) + "\n").encode())

    @property
    def shard_size(self) -> int:
        """How many replicates a shard holds."""
        return int(self.about["shard_size"])

    def shards(self) -> list[Shard]:
        """Return the shards that are there, in order."""
        return self.shards_of_folder(self.folder)

    @staticmethod
    def shards_of_folder(folder: Path) -> list[Shard]:
        """Return the shards of a folder, in order."""
        names = (_SHARD.fullmatch(p.name) for p in folder.iterdir())
        return sorted(Shard(*(int(g) for g in m.groups())) for m in names if m is not None)

    def write(self, columns: Columns) -> None:
        """Keep a shard."""
        import pyarrow.parquet as pq

        path = self.folder / f"{columns.shard.name}.parquet"
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            pq.write_table(table_of(columns), temporary, compression="zstd")
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def read(self, shards: Iterable[Shard]) -> Iterable[Columns]:
        """Give the columns of shards, one shard after the other."""
        import pyarrow.parquet as pq

        for shard in shards:
            table = pq.read_table(self.folder / f"{shard.name}.parquet")
            yield _columns_of(shard, table)


def table_of(columns: Columns) -> pa.Table:
    """Return a shard as an Arrow table."""
    import pyarrow as pa

    shard = columns.shard
    data: dict[str, Any] = {
        "variant": pa.array([shard.variant] * shard.count, pa.int32()),
        "replicate": pa.array(range(shard.first, shard.first + shard.count), pa.int64()),
    }
    data.update((name, pa.array(values, pa.float64())) for name, values in columns.numbers.items())
    data.update((name, pa.array(values, pa.list_(pa.float64()))) for name, values in columns.lists.items())
    return pa.table(data)


def _columns_of(shard: Shard, table: pa.Table) -> Columns:
    import pyarrow as pa

    numbers, lists = {}, {}
    for name in table.column_names[2:]:
        column = table.column(name)
        if pa.types.is_list(column.type):
            lists[name] = [tuple(values) for values in column.to_pylist()]
        else:
            numbers[name] = column.to_numpy().tolist()
    return Columns(shard, numbers, lists)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that its name never stands for half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text())
        return {**about, "shard_size": int(about["shard_size"])}
    except (ValueError, KeyError, TypeError):
        raise StoreProblem(f"{path} cannot be read", "it is not a batch of k8sim's") from None


def available() -> bool:
    """Whether Parquet files can be written here."""
    return find_spec("pyarrow") is not None
