"""Reading single files for the index: annotations with their locks, and template files.

Only the shape that the index needs is looked at, and examples not at all; `tsr check` looks at everything. A file with
an error in its YAML gives no tasks, since what it means is not certain.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tasksource_reg.annotation.expand import ExpandedTask, expand
from tasksource_reg.annotation.index import StatedVocabularies, TaskInfo
from tasksource_reg.errors import Problem, TsrError
from tasksource_reg.paths import shown
from tasksource_reg.provenance.licences import parse_expression
from tasksource_reg.provenance.locks import STRENGTH, Lock, read_lock
from tasksource_reg.yaml_reader import Mapping, Node, Scalar, Sequence, read

DEFAULT_SPLITS = ("train", "validation", "test")
UNREAD = ("examples",)
"""Keys that the index has no use for."""

STATUSES = ("train", "evaluation_only", "parked")


def read_annotation(root: Path, path: str) -> tuple[tuple[TaskInfo, ...], tuple[Problem, ...]]:
    """The tasks of an annotation file, and what is wrong with it.

    Args:
        root: the registry root.
        path: the file, relative to it.
    """
    file = root / path
    tree, problems = _read_mapping(file)
    if tree is None:
        return (), problems
    found = list(problems)
    try:
        lock = read_lock(file)
    except (TsrError, OSError, UnicodeDecodeError) as exc:
        lock = None
        lock_problem = Problem("TSR-L004", f"the lock of {path} cannot be read: {type(exc).__name__}")
        found += exc.problems if isinstance(exc, TsrError) else (lock_problem,)
    dataset = tree.get("dataset")
    if not isinstance(dataset, Scalar) or not isinstance(dataset.value, str):
        at = dataset or tree
        return (), (*found, Problem("TSR-A002", 'the file does not say its "dataset"', place=at.place))
    tasks = []
    for task in expand(tree, found, whole=False):
        info = _task(root, path, tree, dataset.value, task, lock, found)
        if info is not None:
            tasks.append(info)
    return tuple(tasks), tuple(found)


def _task(
    root: Path, path: str, tree: Mapping, dataset: str, task: ExpandedTask, lock: Lock | None, problems: list[Problem]
) -> TaskInfo | None:
    id_, schema = task.text("id"), task.text("schema")
    for key, value in (("id", id_), ("schema", schema)):
        if value is None:
            problems.append(Problem("TSR-A002", f'a task does not say its "{key}"', place=task.place_of.place))
    if id_ is None or schema is None:
        return None
    configs = _configs(task)
    rules = _plain_mapping(task.node.get("splits"))
    splits, withheld = split_names(rules, _source_splits(configs, lock, task.node.get("source")))
    counted = lock.tasks.get(id_) if lock is not None else None
    rows = {s: counted.splits[s].rows for s in splits if s in counted.splits} if counted is not None else {}
    version = task.node.get("version")
    number = version.value if isinstance(version, Scalar) else None
    status = task.text("status") or "train"
    if status not in STATUSES:
        at = task.node.get("status") or task.place_of
        problems.append(Problem("TSR-A003", f'"{status}" is no status', f"one of {', '.join(STATUSES)}", at.place))
    id_node = task.node.get("id")
    return TaskInfo(
        id=id_,
        dataset=dataset,
        schema=schema,
        family=task.text("family"),
        title=task.text("title"),
        version=number if isinstance(number, int) and not isinstance(number, bool) else 1,
        aliases=task.texts("aliases"),
        former_ids=_texts(tree.get("former_ids")),
        configs=configs,
        languages=task.texts("languages"),
        domains=task.texts("domains"),
        license=_license(task, problems),
        status=status,
        because=task.text("because"),
        cite=task.texts("cite"),
        splits=splits,
        rows=rows,
        withheld=withheld,
        verified=_verified(configs, id_, lock),
        path=path,
        line=(id_node if id_node is not None else task.place_of).mark.line,
        root=str(root),
    )


def _license(task: ExpandedTask, problems: list[Problem]) -> str | None:
    block = task.node.get("license")
    spdx = block.get("spdx") if isinstance(block, Mapping) else None
    if not isinstance(spdx, Scalar) or not isinstance(spdx.value, str):
        return None
    try:
        parse_expression(spdx.value)
    except ValueError as exc:
        problem = Problem("TSR-A003", f'"{spdx.value}" is no SPDX expression: {exc}', place=spdx.place)
        if problem not in problems:
            problems.append(problem)
    return spdx.value


def _configs(task: ExpandedTask) -> tuple[str, ...]:
    """The configs that are read; those of `pool` if there is one."""
    pool = task.node.get("pool")
    if isinstance(pool, Sequence):
        parts = [item.get("config") if isinstance(item, Mapping) else item for item in pool.items]
        return tuple(p.value for p in parts if isinstance(p, Scalar) and isinstance(p.value, str))
    config = task.text("config")
    return () if config is None else (config,)


def _source_splits(configs: tuple[str, ...], lock: Lock | None, source: Node | None) -> set[str] | None:
    """The splits of the source, on record or by its files; None if they are not known for any of the configs."""
    found = [lock.configs[c].splits for c in configs or ("",) if c in lock.configs] if lock is not None else []
    known = [splits for splits in found if splits is not None]
    files = source.get("files") if isinstance(source, Mapping) else None
    if not known and isinstance(files, Mapping):
        return {str(name) for name in files.keys()}
    return {split for splits in known for split in splits} if known else None


def split_names(rules: dict[str, Any], have: set[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The task's splits in order, and the withheld ones, by the same rules as compiling.

    Args:
        rules: `splits` as written.
        have: the splits of the source; None if they are not known.
    """
    withheld = tuple(name for name, rule in rules.items() if rule == "withheld")
    mentioned = {source for rule in rules.values() for source in _whole_sources(rule)}
    names = {name for name, rule in rules.items() if rule is not None and rule != "withheld"}
    for name in DEFAULT_SPLITS:
        if name not in rules and name not in mentioned and (have is None or name in have):
            names.add(name)
    order = {name: number for number, name in enumerate(DEFAULT_SPLITS)}
    return tuple(sorted(names, key=lambda name: (order.get(name, len(order)), name))), withheld


def _whole_sources(rule: Any) -> tuple[str, ...]:
    """The source splits that a rule of `splits` takes whole; one that is carved keeps the rest."""
    if isinstance(rule, list):
        return tuple(source for source in rule if isinstance(source, str))
    return (rule,) if isinstance(rule, str) and rule != "withheld" else ()


def _verified(configs: tuple[str, ...], id_: str, lock: Lock | None) -> str | None:
    """How the facts about a task are known, by the least known of its configs: `rows` only where rows were counted."""
    if lock is None:
        return None
    words = [word for config in configs or ("",) if (word := lock.known_of(config)) is not None]
    if not words:
        return None
    least = min(words, key=STRENGTH.index)
    counted = id_ in lock.tasks and lock.tasks[id_].splits
    return "features" if least == "rows" and not counted else least


def read_templates(root: Path, path: str) -> tuple[str, StatedVocabularies, dict[str, int], tuple[Problem, ...]]:
    """What the index holds of a template file: its family or schema, vocabularies, templates for each schema."""
    tree, problems = _read_mapping(root / path)
    if tree is None:
        return "", None, {}, problems
    found = list(problems)
    key = "family" if path.startswith("templates/families/") else "schema"
    name = tree.get(key)
    if not isinstance(name, Scalar) or not isinstance(name.value, str):
        found.append(Problem("TSR-A002", f'the file does not say its "{key}"', place=(name or tree).place))
        return "", None, {}, tuple(found)
    fallback = (name.value,) if key == "schema" else _schemas(tree.get("for"))
    templates = tree.get("templates")
    counts: Counter[str] = Counter()
    for template in templates.items if isinstance(templates, Sequence) else ():
        own = _schemas(template.get("for")) if isinstance(template, Mapping) else ()
        counts.update(own or fallback)
    return name.value, _vocabularies(tree.get("labels"), found), dict(counts), tuple(found)


def _schemas(node: Node | None) -> tuple[str, ...]:
    return _texts(node.get("schema")) if isinstance(node, Mapping) else ()


def _vocabularies(node: Node | None, problems: list[Problem]) -> StatedVocabularies:
    if node is None:
        return None
    if isinstance(node, Scalar) and node.value == "open":
        return "open"
    lists = node.items if isinstance(node, Sequence) else ()
    labels = tuple(_texts(item) for item in lists if isinstance(item, Sequence))
    if not lists or [len(i.items) if isinstance(i, Sequence) else -1 for i in lists] != [len(v) for v in labels]:
        fix = "write labels: [[yes-label, no-label]] or labels: open"
        problems.append(Problem("TSR-A003", "labels is a list of vocabularies, each a list of texts", fix, node.place))
        return None
    return labels


def _read_mapping(file: Path) -> tuple[Mapping | None, tuple[Problem, ...]]:
    """The root mapping of a YAML file; None with the problems if it is not certain what the file says."""
    try:
        document = read(shown(file), UNREAD)
    except TsrError as exc:
        return None, exc.problems
    if any(p.severity == "error" for p in document.problems):
        return None, document.problems
    if not isinstance(document.root, Mapping):
        at = document.root.place if document.root is not None else None
        return None, (*document.problems, Problem("TSR-A003", "the file is a mapping of keys", place=at))
    return document.root, document.problems


def _texts(node: Node | None) -> tuple[str, ...]:
    items = node.items if isinstance(node, Sequence) else (node,) if node is not None else ()
    return tuple(item.value for item in items if isinstance(item, Scalar) and isinstance(item.value, str))


def _plain_mapping(node: Node | None) -> dict[str, Any]:
    if not isinstance(node, Mapping):
        return {}
    return {str(entry.key.value): entry.value.plain() for entry in node.entries}
