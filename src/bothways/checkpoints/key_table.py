"""Tables that map the names of weights in another library's files to ours, in both directions.

    BERT = KeyTable(
        {
            "embeddings.word_embeddings.weight": "embedding.token.weight",
            "encoder.layer.{i}.attention.self.query.{p}": "blocks.{i}.attention.query.{p}",
            "embeddings.position_ids": None,  # a buffer, not a weight
        },
        heads={"classifier.{p}": "heads.classifier.{p}"},
        prefixes=("", "bert."),
        aliases={"gamma": "weight", "beta": "bias"},
    )

A row maps a name in the file to one of our names; `{i}` matches a number, `{p}` weight or bias. A
row with several of our names is a fused matrix, split into equal parts along its rows. A row
with None drops the weight. Each of `prefixes` may precede the names in `rows`, but not in `heads`.

A weight that no row matches is an error inside the encoder. Outside of it, where the encoder's
names have a prefix and this one has none, it belongs to a head that bothways does not know: it is
read under a name that begins with `heads.unread.`, and written again.

The order of rows has no meaning: each name in a file matches one row, and one row fills each of our
names. Export reads the same table in reverse.
"""

import dataclasses
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from pathlib import Path

import numpy as np

from bothways.checkpoints.weight_files import StoredTensor
from bothways.errors import CheckpointError
from bothways.io.json_files import brief

__all__ = ["UNREAD", "KeyTable", "Reading", "Rows"]

UNREAD = "heads.unread."
"""What our names of weights of unknown heads begin with; their names in the file follow."""

Targets = str | tuple[str, ...] | None
Rows = dict[str, Targets]
"""Patterns of their names -> our name, our names for the parts of a fused matrix, or None."""

_PARAMETERS = ("weight", "bias")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a table maps the keys of a file.

    targets: for each key, our names for it: none if dropped, several if fused.
    problems: why the file does not match, in words; empty if it does.
    """

    targets: Mapping[str, tuple[str, ...]]
    problems: tuple[str, ...]

    @property
    def num_unread(self) -> int:
        """The number of weights of unknown heads."""
        return sum(name.startswith(UNREAD) for names in self.targets.values() for name in names)

    def apply(self, arrays: Mapping[str, np.ndarray], file: str) -> dict[str, np.ndarray]:
        """The arrays under our names, fused ones cut.

        Raises:
            CheckpointError: if there is a problem, or a fused matrix has no equal parts.
        """
        if self.problems:
            raise CheckpointError(f"{file}: {'; '.join(_first(self.problems))}")
        ours: dict[str, np.ndarray] = {}
        for key, names in self.targets.items():
            array = arrays[key]
            if len(names) > 1 and (not array.ndim or array.shape[0] % len(names)):
                raise CheckpointError(
                    f"{file}: weight {key!r} has shape {array.shape}; "
                    f"expected {len(names)} equal parts along its rows"
                )
            parts = np.split(array, len(names)) if len(names) > 1 else [array]
            ours |= dict(zip(names, parts, strict=False))
        return ours

    def locate(self, file_of: Mapping[str, Path]) -> dict[str, StoredTensor]:
        """The location on disk of each of our weights. file_of: the file of each key in a file."""
        return {
            name: StoredTensor(file_of[key], key, part, len(names))
            for key, names in self.targets.items()
            if key in file_of
            for part, name in enumerate(names)
        }


class KeyTable:
    """Names in the files of another library and our names, mapped both ways.

    Raises:
        ValueError: if a key could match two rows, a name of ours be filled by two, or a row could
            not be read backwards.
    """

    def __init__(
        self,
        rows: Rows,
        *,
        heads: Rows | None = None,
        prefixes: tuple[str, ...] = ("",),
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self.prefixes = prefixes
        self._aliases = dict(aliases or {})
        self._rows = [_Row.of(source, targets, prefixed=True) for source, targets in rows.items()]
        self._rows += [
            _Row.of(source, targets, prefixed=False) for source, targets in (heads or {}).items()
        ]
        self._check()
        self._patterns = [
            (re.compile(self._expression(prefix + row.source)), row)
            for row in self._rows
            for prefix in (prefixes if row.prefixed else ("",))
        ]

    def read(self, keys: Collection[str], expected: Set[str]) -> Reading:
        """How a file with `keys` gives our `expected` names, and optional heads."""
        if len(keys) > 10 * len(expected) + 1000:
            return Reading({}, (f"{len(keys)} weights, but the config has {len(expected)}",))
        targets: dict[str, tuple[str, ...]] = {}
        filled_by: dict[str, str] = {}
        problems = []
        for key in keys:
            names = self._ours(key)
            if names is None and self._is_outside(key, keys):
                names = (UNREAD + key,)
            if names is None:
                problems.append(f"weight {brief(key)} is unknown")
                continue
            targets[key] = names
            for name in names:
                if name in filled_by:
                    problems.append(f"weights {filled_by[name]!r} and {key!r} are the same weight")
                elif name not in expected and not name.startswith("heads."):
                    problems.append(f"weight {key!r} is unexpected: the config does not have it")
                filled_by[name] = key
        problems += self._missing(expected - filled_by.keys(), keys)
        return Reading(targets, tuple(problems))

    def knows(self, names: Iterable[str]) -> bool:
        """Whether the table has rows for these names of ours, and they fill each fused row."""
        filled: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for name in names:
            if name.startswith(UNREAD):
                continue
            found = self._row_for(name)
            if found is None:
                return False
            key = found[0].source_of(name, "")
            filled[key] = filled.get(key, 0) + 1
            sizes[key] = len(found[0].targets)
        return filled == sizes

    def write(
        self, ours: Mapping[str, np.ndarray], buffers: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """The arrays under their names, and `buffers` where there is no such weight.

        Where heads stand beside the encoder, the encoder's names get the second prefix.

        Raises:
            CheckpointError: naming a weight of ours that has no name there.
        """
        unread = {key.removeprefix(UNREAD): ours[key] for key in ours if key.startswith(UNREAD)}
        rows = {name: self._theirs(name) for name in ours if not name.startswith(UNREAD)}
        beside = bool(unread) or any(not row.prefixed for row, _ in rows.values())
        prefix = self.prefixes[1] if beside and len(self.prefixes) > 1 else self.prefixes[0]
        parts: dict[str, dict[int, np.ndarray]] = {}
        counts: dict[str, int] = {}
        for name, (row, index) in rows.items():
            key = row.source_of(name, prefix)
            parts.setdefault(key, {})[index] = ours[name]
            counts[key] = len(row.targets)
        theirs = {}
        for key, by_index in parts.items():
            if len(by_index) < counts[key]:
                raise CheckpointError(f"weight {key!r} is fused, and a part of it is missing")
            whole = [by_index[index] for index in range(counts[key])]
            theirs[key] = whole[0] if len(whole) == 1 else np.concatenate(whole)
        return {prefix + key: array for key, array in buffers.items()} | unread | theirs

    def _ours(self, key: str) -> tuple[str, ...] | None:
        for pattern, row in self._patterns:
            if match := pattern.fullmatch(key):
                values = match.groupdict()
                if "p" in values:
                    values["p"] = self._aliases.get(values["p"], values["p"])
                return tuple(target.format(**values) for target in row.targets)
        return None

    def _is_outside(self, key: str, keys: Collection[str]) -> bool:
        """Whether a key without a row is outside the encoder, in a file with these keys."""
        prefixes = tuple(filter(None, self.prefixes))
        roots = {row.source.partition(".")[0] for row in self._rows if row.prefixed}
        return (
            bool(prefixes)
            and not key.startswith(prefixes)
            and key.partition(".")[0] not in roots
            and any(other.startswith(prefixes) for other in keys)
        )

    def _row_for(self, name: str) -> tuple["_Row", int] | None:
        for row in self._rows:
            for index, target in enumerate(row.targets):
                if _matches(target, name) is not None:
                    return row, index
        return None

    def _theirs(self, name: str) -> tuple["_Row", int]:
        row = self._row_for(name)
        if row is None:
            raise CheckpointError(f"this family of models has no weight for {name!r}")
        return row

    def _missing(self, names: Set[str], keys: Collection[str]) -> Iterator[str]:
        seen = (p for p in self.prefixes if p and any(key.startswith(p) for key in keys))
        prefix = next(seen, self.prefixes[0])
        rows = {name: self._row_for(name) for name in sorted(names)}
        sources = {row[0].source_of(name, prefix) for name, row in rows.items() if row}
        if sources:
            yield f"weight {min(sources)!r} is missing ({len(sources)} are)"
        for name, row in rows.items():
            if row is None:
                yield f"the config has a weight {name!r}, for which this family has no name"

    def _expression(self, source: str) -> str:
        parameter = "|".join((*_PARAMETERS, *self._aliases))
        return (
            re.escape(source)
            .replace(r"\{i\}", r"(?P<i>0|[1-9][0-9]{0,6})")
            .replace(r"\{p\}", f"(?P<p>{parameter})")
        )

    def _check(self) -> None:
        sources = [
            prefix + row.source
            for row in self._rows
            for prefix in (self.prefixes if row.prefixed else ("",))
        ]
        targets = [target for row in self._rows for target in row.targets]
        for kind, patterns in (("key", sources), ("name", targets)):
            for left, right in itertools.combinations(patterns, 2):
                if _overlap(left, right):
                    raise ValueError(f"one {kind} could match both {left!r} and {right!r}")


@dataclasses.dataclass(frozen=True)
class _Row:
    source: str
    targets: tuple[str, ...]
    prefixed: bool

    @classmethod
    def of(cls, source: str, targets: Targets, *, prefixed: bool) -> "_Row":
        names = () if targets is None else (targets,) if isinstance(targets, str) else targets
        holes = set(_PLACEHOLDER.findall(source))
        if holes - {"i", "p"}:
            raise ValueError(f"{source!r}: the only placeholders are {{i}} and {{p}}")
        for name in names:
            if set(_PLACEHOLDER.findall(name)) != holes:
                raise ValueError(f"{source!r} and {name!r} have different placeholders")
        return cls(source, names, prefixed)

    def source_of(self, name: str, prefix: str) -> str:
        """Their name for our `name`, which one of the targets matches."""
        values = next(v for target in self.targets if (v := _matches(target, name)) is not None)
        return (prefix if self.prefixed else "") + self.source.format(**values)


def _matches(pattern: str, name: str) -> dict[str, str] | None:
    """The values of `{i}` and `{p}` in `name`, if it has this pattern."""
    values = {}
    parts, wanted = name.split("."), pattern.split(".")
    if len(parts) != len(wanted):
        return None
    for part, want in zip(parts, wanted, strict=True):
        if not _fits(part, want):
            return None
        if want in ("{i}", "{p}"):
            values[want[1]] = part
    return values


def _overlap(left: str, right: str) -> bool:
    """Whether one name could have both patterns."""
    lefts, rights = left.split("."), right.split(".")
    return len(lefts) == len(rights) and all(
        _fits(a, b) or _fits(b, a) for a, b in zip(lefts, rights, strict=True)
    )


def _fits(part: str, want: str) -> bool:
    match want:
        case "{i}":
            return part.isdecimal() or part == "{i}"
        case "{p}":
            return part in _PARAMETERS or part == "{p}"
        case _:
            return part == want


def _first(problems: tuple[str, ...], limit: int = 5) -> Iterator[str]:
    yield from problems[:limit]
    if len(problems) > limit:
        yield f"and {len(problems) - limit} more"
