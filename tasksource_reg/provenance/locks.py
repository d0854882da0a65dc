"""Locks: the machine-written facts beside an annotation, and how each is known.

A lock is JSON with sorted keys and no timestamps; the one date is that of a record whose facts were taken over unseen.
`known` says where its facts come from: `rows` (loaded and counted), `features` (column types and split sizes from a
recorded source), `declared` (only the annotation says so). A config may be known in another way than its file's lock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from tasksource_reg.errors import Place, error
from tasksource_reg.files import write_whole

LOCK_FORMAT = 1
Known = Literal["rows", "features", "declared"]
STRENGTH: tuple[Known, ...] = ("declared", "features", "rows")
"""The ways of knowing, the weakest first."""

_CONFIG_KEYS = ("revision", "contents", "samples", "known", "origin", "date")


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """A task's split: source rows, candidates (after explode), surviving rows, and where the others went.

    `candidates = rows + sum(filtered) + sum(quarantined)`. `labels` counts class names (token tags: tokens; lists:
    members). `characters` are the code points of all input and output text fields of the surviving rows. `gold` counts
    the positions of the right choice, "0" the first, in the order of the source. `shared` counts the rows whose inputs
    an earlier split has too, but for case, punctuation and white space, by that split. `tokens` are those of the same
    texts as `characters`, by tokenizer (see `authoring/tokens.py`). Older locks lack the last three.
    """

    source_rows: int
    candidates: int
    rows: int
    filtered: Mapping[str, int] = field(default_factory=dict)
    quarantined: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    characters: int = 0
    gold: Mapping[str, int] = field(default_factory=dict)
    shared: Mapping[str, int] = field(default_factory=dict)
    tokens: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskLock:
    """What is known of one task: its hash when it was counted, its labels, its splits."""

    hash: str
    splits: Mapping[str, SplitCounts]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigLock:
    """What is known of one config of the source.

    Attributes:
        features: column features (see `features.py`); None where nobody has seen them.
        splits: rows by split, None where they were not counted; None where nobody has seen which splits there are.
        revision: the commit of the hub, or the content digest of a mirror's or folder's data files.
        contents: of the hub, for each split a digest over its files, by which a new commit is told from new rows.
        samples: for each split a digest over a few of its rows, by which appended rows are told from edited ones.
        known, origin, date: how these facts are known, where that is not what the lock says of itself.
    """

    features: Mapping[str, Any] | None
    splits: Mapping[str, int | None] | None
    revision: str | None = None
    contents: Mapping[str, str] = field(default_factory=dict)
    samples: Mapping[str, str] = field(default_factory=dict)
    known: Known | None = None
    origin: str | None = None
    date: str | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock of one annotation file.

    Attributes:
        dataset: the hub id.
        known: how its facts are known: the strongest word that holds for any of its configs.
        origin: `hub`, `mirror`, `files`, or the name of the record that the facts were taken from.
        configs: by name, "" is the default config.
        tasks: by id.
        date: when the record was made (YYYY-MM-DD), for facts that are known as `features`.
        gated: the hub asked for an agreement when the lock was made.
    """

    dataset: str
    known: Known
    origin: str
    configs: Mapping[str, ConfigLock]
    tasks: Mapping[str, TaskLock]
    date: str | None = None
    gated: bool = False

    def known_of(self, config: str) -> Known | None:
        """How the facts of a config are known; None for one that the lock does not hold."""
        found = self.configs.get(config)
        return None if found is None else found.known or self.known

    def explicit(self) -> dict[str, ConfigLock]:
        """The configs, each with its own word on how it is known."""
        return {
            n: replace(c, known=c.known or self.known, origin=c.origin or self.origin, date=c.date or self._date_of(c))
            for n, c in self.configs.items()
        }

    def _date_of(self, config: ConfigLock) -> str | None:
        """The lock's date counts for configs that are known as the lock is."""
        return self.date if config.known in (None, self.known) else None

    @staticmethod
    def joined(
        dataset: str, configs: Mapping[str, ConfigLock], tasks: Mapping[str, TaskLock], gated: bool = False
    ) -> Lock:
        """The lock of configs that each say how they are known; what most of it shares is said once.

        Args:
            dataset: the hub id.
            configs: with `known`, `origin` and `date` filled in (see `explicit`); at least one.
            tasks, gated: as in the lock.
        """
        known = max((c.known or "declared" for c in configs.values()), key=STRENGTH.index)
        own = [c for c in configs.values() if c.known == known]
        origin = ", ".join(sorted({part for c in own for part in (c.origin or "").split(", ") if part}))
        date = max((c.date for c in own if c.date is not None), default=None)
        return Lock(
            dataset,
            known,
            origin,
            {
                name: replace(
                    c,
                    known=None if c.known == known else c.known,
                    origin=None if c.known == known and c.origin == origin else c.origin,
                    date=None if c.known == known and c.date == date else c.date,
                )
                for name, c in configs.items()
            },
            tasks,
            date,
            gated,
        )

    def to_json(self) -> str:
        """Canonical text: features that several configs share are written once."""
        shared: list[list[list[Any]]] = []  # order matters here: columns stand as in the source
        configs: dict[str, dict[str, Any]] = {}
        for name, config in sorted(self.configs.items()):
            configs[name] = {} if config.splits is None else {"splits": dict(config.splits)}
            if config.features is not None:
                features = [[column, feature] for column, feature in config.features.items()]
                if features not in shared:
                    shared.append(features)
                configs[name]["features"] = shared.index(features)
            for key in _CONFIG_KEYS:
                if value := getattr(config, key):
                    configs[name][key] = dict(value) if isinstance(value, Mapping) else value
        body = {
            "format": LOCK_FORMAT,
            "dataset": self.dataset,
            "known": self.known,
            "origin": self.origin,
            "features": shared,
            "configs": configs,
            "tasks": {k: _task_body(t) for k, t in self.tasks.items()},
        }
        if self.date is not None:
            body["date"] = self.date
        if self.gated:
            body["gated"] = True
        return short_json(body) + "\n"

    @staticmethod
    def from_json(text: str, name: str) -> Lock:
        """Reads a lock.

        Raises:
            FindingsError: TSR-L004, it is not a lock of this format.
        """
        try:
            body = json.loads(text)
            if body["format"] != LOCK_FORMAT:
                raise ValueError(f"format {body['format']}")
            shared = [{str(n): _feature(f) for n, f in features} for features in body["features"]]
            configs = {
                n: ConfigLock(
                    shared[c["features"]] if "features" in c else None,
                    dict(c["splits"]) if "splits" in c else None,
                    **{key: c[key] for key in _CONFIG_KEYS if key in c},
                )
                for n, c in body["configs"].items()
            }
            tasks = {
                n: TaskLock(
                    t["hash"],
                    {s: SplitCounts(**c) for s, c in t.get("splits", {}).items()},
                    tuple(t.get("labels", ())),
                )
                for n, t in body["tasks"].items()
            }
            for word in (body["known"], *(c.known for c in configs.values() if c.known is not None)):
                if word not in get_args(Known):
                    raise ValueError(f"known is {word!r}")
            date, gated = body.get("date"), body.get("gated", False)
            return Lock(body["dataset"], body["known"], body["origin"], configs, tasks, date, gated)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
            raise error("TSR-L004", f"{name} is not a lock: {exc}", place=Place(name)) from exc


def _task_body(task: TaskLock) -> dict[str, Any]:
    """A task as JSON; what is empty is left out, of a split's counts only what older locks do not have."""
    body = {name: value for name, value in asdict(task).items() if value}
    for counts in body.get("splits", {}).values():
        for name in ("gold", "shared", "tokens"):
            if not counts[name]:
                del counts[name]
    return body


def _feature(value: Any) -> Any:
    """A recorded feature, if it has one of the forms of `features.py`.

    Raises:
        ValueError: it has none.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        if set(value) <= {"list", "length"} and "list" in value:
            return {**value, "list": _feature(value["list"])}
        if set(value) == {"struct"}:
            return {"struct": {name: _feature(inner) for name, inner in value["struct"].items()}}
        if set(value) == {"class_label"} and all(isinstance(n, str) for n in value["class_label"]):
            return value
        if set(value) in ({"json"}, {"media"}):
            return value
    raise ValueError(f"{value!r} is no feature")


def short_json(value: Any, indent: int = 0) -> str:
    """JSON with sorted keys, small values on one line: short files, small diffs."""
    line = json.dumps(value, ensure_ascii=False, sort_keys=True)
    if indent + len(line) <= 140 or not isinstance(value, dict | list) or not value:
        return line
    pad = " " * (indent + 1)
    if isinstance(value, dict):
        items = [f"{json.dumps(k, ensure_ascii=False)}: {short_json(v, indent + 1)}" for k, v in sorted(value.items())]
        return "{\n" + ",\n".join(pad + i for i in items) + "\n" + " " * indent + "}"
    return "[\n" + ",\n".join(pad + short_json(v, indent + 1) for v in value) + "\n" + " " * indent + "]"


def lock_path(annotation: Path) -> Path:
    """Where an annotation's lock stands."""
    return annotation.parent / (annotation.name.removesuffix(".yaml") + ".lock.json")


def read_lock(annotation: Path) -> Lock | None:
    """The lock beside an annotation file, or None.

    Raises:
        FindingsError: TSR-L004, the lock is damaged.
    """
    path = lock_path(annotation)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise error("TSR-L004", f"{path} cannot be read: {exc}", place=Place(str(path))) from exc
    return Lock.from_json(text, str(path))


def write_lock(annotation: Path, lock: Lock) -> Path:
    """Writes the lock whole or not at all; returns its path."""
    path = lock_path(annotation)
    write_whole(path, lock.to_json().encode())
    return path
