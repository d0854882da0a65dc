"""`tsr new`: the draft of an annotation, from a source's features, a sample of its rows, and its card.

The facts are certain, the rest is guessed: `guess.py` and `label_guess.py` look for a layout that they know, and every
guess carries a `# check:` with its reason, so that nothing of it is taken for knowledge. Configs with the same columns
are one task with `for_each`. The facts go into a lock (known: features), so that `tsr check` can type the draft.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tasksource_reg.annotation.compile import compile_task
from tasksource_reg.annotation.compiled import CompiledTask, ConfigFacts, Vocabularies
from tasksource_reg.annotation.expand import expand
from tasksource_reg.authoring.card_facts import languages_of, licence_of
from tasksource_reg.authoring.columns import Column, columns_of, sample
from tasksource_reg.authoring.fmt import format_text
from tasksource_reg.authoring.guess import Guess, guess, hidden_splits
from tasksource_reg.authoring.label_guess import family_of, label_map
from tasksource_reg.authoring.skeletons import skeletons
from tasksource_reg.authoring.yaml_layout import Branch, Item, Leaf, Tree, tree_of, write_tree
from tasksource_reg.errors import Problem, TsrError, did_you_mean, error
from tasksource_reg.features import Features
from tasksource_reg.provenance.locks import ConfigLock, Lock
from tasksource_reg.schemas import SCHEMAS
from tasksource_reg.sources import Sources, SourceSpec
from tasksource_reg.sources.card import front_matter, read_card
from tasksource_reg.yaml_reader import Mapping as MappingNode
from tasksource_reg.yaml_reader import parse

HEADER = [
    "# A draft by `tsr new`. Look at rows of the source, settle each `check:`, add `cite` and a comment where a choice",
    "# needs one, write examples of your own; then `tsr check`, `tsr test` and `tsr lock`.",
]
NO_LABEL = ("", "-", "?", "n/a", "N/A", "nan")
SPLIT_NAMES = {"dev": "validation", "valid": "validation", "val": "validation", "eval": "validation", "testing": "test"}
KEY_NOTES = {
    "choice_order": "does the order of the options mean something?",
    "scheme": "from the class names",
    "labels": "collected from rows by `tsr lock`",
    "range": "the ends of a sample of rows",
}
CLASS_FIELDS = {"classification": "label", "multi_label": "labels", "token_tags": "tags"}


@dataclass(frozen=True)
class Draft:
    """A draft: the text of the annotation, and the lock with the features and rows by split that it was made from."""

    text: str
    lock: Lock


@dataclass
class Group:
    """Configs with the same columns: each with what is known of it, and the columns of the first one."""

    configs: dict[str, ConfigLock]
    features: Features
    splits: tuple[str, ...]
    columns: list[Column] = field(default_factory=list)

    @property
    def first(self) -> str:
        """The config whose rows were looked at."""
        return next(iter(self.configs))

    @property
    def facts(self) -> ConfigFacts:
        """Features and rows by split of the first config."""
        return ConfigFacts(self.features, self.configs[self.first].splits)


@dataclass
class Drafted:
    """A task as it goes into the draft: keys with values, and the remark beside a key or a field."""

    keys: dict[str, Any]
    notes: dict[str, str]
    guess: Guess | None
    group: Group


def draft(
    dataset: str,
    sources: Sources,
    vocabularies: Mapping[str, Vocabularies],
    config: str | None = None,
    schema: str | None = None,
) -> Draft:
    """The draft of an annotation.

    Args:
        dataset: the hub id.
        sources: opens the source.
        vocabularies: the label vocabularies of the known families.
        config: draft this config only; None is all of them.
        schema: the schema of all tasks, where it is known.

    Returns:
        Canonical YAML that the strict reader takes (what could not be guessed is missing, with a remark), and its lock.

    Raises:
        SourceError: the source cannot be opened.
        UsageError: TSR-U005, an unknown schema.
    """
    if schema is not None and schema not in SCHEMAS:
        raise error("TSR-U005", f'no schema "{schema}"', fix=did_you_mean(schema, SCHEMAS))
    card = front_matter(read_card(sources, SourceSpec(dataset)))
    groups, origin = _groups(dataset, sources, config)
    tasks = [_task(dataset, group, vocabularies, schema, alone=len(groups) == 1) for group in groups]
    head, notes = _head(dataset, card)
    for task in tasks:
        task.notes["examples"] = "write your own rows"
        compiled = _compiled(dataset, head, task, vocabularies)
        task.keys["examples"] = skeletons(task.guess.rows, task.group.features, compiled) if task.guess else []
    text = format_text(write_tree(_tree(head, notes, tasks)), f"{dataset}.yaml")
    configs = {
        "" if [*group.configs] == ["default"] else name: facts
        for group in groups
        for name, facts in group.configs.items()
    }
    return Draft(text, Lock(dataset, "features", origin, configs, {}, date.today().isoformat()))


# The source.


def _groups(dataset: str, sources: Sources, config: str | None) -> tuple[list[Group], str]:
    """The configs of a source by their columns, the first config of each group sampled; and where the source is."""
    described = sources.describe(SourceSpec(dataset, config=config or _first(dataset, sources)))
    groups: dict[str, Group] = {}
    for name in (config,) if config is not None else described.configs:
        spec = SourceSpec(dataset, config=name)
        known = sources.describe(spec)
        features = known.features
        if features is None:
            features = sources.open(spec, next(iter(known.splits))).features
        key = json.dumps([features, list(known.splits)])
        group = groups.setdefault(key, Group({}, features, tuple(known.splits)))
        group.configs[name] = ConfigLock(features, dict(known.splits), known.revision)
    for group in groups.values():
        opened = {split: sources.open(SourceSpec(dataset, config=group.first), split) for split in group.splits}
        group.columns = columns_of(group.features, sample(opened))
    return list(groups.values()), described.origin.kind


def _first(dataset: str, sources: Sources) -> str | None:
    """A config that can be described: the default one, else the first of those that the error names."""
    try:
        return sources.describe(SourceSpec(dataset)).config
    except TsrError as exc:
        text = " ".join(f"{p.message} {p.fix}" for p in exc.problems)
        if not any(p.code == "TSR-N004" for p in exc.problems):
            raise
        names = re.findall(r"[\w.-]+", text.rpartition(":")[2])
        if not names:
            raise
        return str(names[0])


# One task.


def _task(
    dataset: str, group: Group, vocabularies: Mapping[str, Vocabularies], schema: str | None, *, alone: bool
) -> Drafted:
    keys, notes = _identity(dataset, group, alone=alone)
    found = guess(group.columns, schema)
    if found is None:
        keys["schema"] = schema or "classification"
        notes["schema"] = "no known layout; map the fields yourself"
        keys["fields"] = {}
        notes["fields"] = "columns: " + ", ".join(column.name for column in group.columns)
        return Drafted(keys, notes, None, group)
    keys |= {"schema": found.schema, **found.keys}
    notes |= {key: KEY_NOTES[key] for key in found.keys}
    notes |= {"schema": "from the columns" if schema is None else "", **found.notes}
    hidden = hidden_splits(found.label, group.splits) if found.label is not None else {}
    context = " ".join([dataset, group.first if len(group.configs) == 1 else "", *[c.name for c in group.columns]])
    values = _label_values(found.label, hidden) if found.label is not None else []
    family, why = family_of(found.schema, context, values, vocabularies)
    if family is None:
        notes["schema"] += "; no family was recognised: add `family`, or `ask`"
    else:
        keys["family"], notes["family"] = family, why
    for name in found.fields:
        notes.setdefault(
            name, "is this the column?" if name not in CLASS_FIELDS.values() else "do these mean what they say?"
        )
    if found.label is not None and found.schema in CLASS_FIELDS:
        _labels(found, [v for v in values if not _is_blank(v)], vocabularies.get(family or ""), family, keys, notes)
        if found.schema == "classification" and (blank := [v for v in values if _is_blank(v)]):
            keys["unlabelled"] = {found.label.name: blank}
            notes["unlabelled"] = "do these mean that there is no label?"
    keys["fields"] = found.fields
    _splits(hidden, group, keys, notes)
    unused = [c.name for c in group.columns if not found.reads(c.name)]
    if unused:
        keys["unused"] = unused
        notes["unused"] = "is one of these part of the task?"
    return Drafted(keys, notes, found, group)


def _identity(dataset: str, group: Group, *, alone: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """`id`, `config` and `for_each`."""
    name = _slug(dataset.rpartition("/")[2])
    if len(group.configs) == 1:
        config = group.first
        keys: dict[str, Any] = {"id": name if alone or config == "default" else f"{name}/{_slug(config)}"}
        if config != "default":
            keys["config"] = config
        return keys, {}
    keys = {"id": f"{name}/$(config)", "for_each": {"config": list(group.configs)}, "config": "$(config)"}
    if any(_slug(config) != config for config in group.configs):
        keys["id"] = f"{name}/$(name)"
        keys["for_each"] = [{"config": config, "name": _slug(config)} for config in group.configs]
    return keys, {"for_each": f"only rows of {group.first} were looked at"}


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-") or "task"


def _label_values(label: Column, hidden: Mapping[str, str]) -> list[Any]:
    """The class names of a label column, or the values that splits hold whose labels are not hidden."""
    if label.names is not None:
        return list(label.names)
    seen = [values for split, values in (label.by_split or {}).items() if split not in hidden]
    return [] if None in seen else sorted({value for values in seen for value in values or ()})


def _is_blank(value: Any) -> bool:
    """Whether a value usually means that there is no label."""
    return value in NO_LABEL or (isinstance(value, int) and value < 0)


def _labels(
    found: Guess,
    values: list[Any],
    known: Vocabularies,
    family: str | None,
    keys: dict[str, Any],
    notes: dict[str, str],
) -> None:
    """Maps the label column to the family's labels, or declares labels of the task's own."""
    name = CLASS_FIELDS[found.schema]
    label = found.label
    assert label is not None
    column = found.fields[name]
    if not values:
        keys.setdefault("labels", "from_lock")
        notes["labels"] = "many values; are they labels?"
        return
    mapped = label_map(values, known)
    if mapped is not None and label.kind != "list":
        if any(value != to for value, to in mapped.items()):
            found.fields[name] = {"map": column, "to": mapped}
            notes[name] = "which value is which label?"
        elif label.names is None:
            keys["labels"] = next(list(v) for v in known or () if set(mapped.values()) <= set(v))
            notes["labels"] = "the family's; do they all occur?"
        rows = list(mapped)
    else:
        texts = {value: value if isinstance(value, str) else str(value).lower() for value in values}
        if label.kind not in ("text", "class", "list"):
            found.fields[name] = {"map": column, "to": texts}
            notes[name] = "what do these values mean?"
        if family is None or known is not None or label.names is None:
            keys.setdefault("labels", list(dict.fromkeys(texts.values())))
            notes["labels"] = "is the order right, and does every label occur?"
        rows = values
    if not found.rows:
        most = len(rows) if isinstance(found.fields[name], dict) else 2
        found.rows = [{label.name: value} for value in rows[:most]]


def _splits(hidden: Mapping[str, str], group: Group, keys: dict[str, Any], notes: dict[str, str]) -> None:
    """Splits under usual names; those whose labels seem hidden are withheld."""
    splits: dict[str, Any] = {}
    for split in group.splits:
        name = SPLIT_NAMES.get(split, split)
        if split in hidden:
            splits[split] = "withheld"
            notes[split] = hidden[split]
        elif name != split and name not in group.splits and name not in splits:
            splits[name] = split
            notes[name] = "is it?"
        elif split not in ("train", "validation", "test"):
            splits[split] = split
            notes[split] = "what is this split for?"
    if splits:
        keys["splits"] = splits


# The file.


def _head(dataset: str, card: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The keys of the file, and remarks."""
    spdx, said = licence_of(card)
    languages = languages_of(card)
    title = card.get("pretty_name")
    head: dict[str, Any] = {"format": 1, "dataset": dataset}
    head["title"] = title if isinstance(title, str) and title.strip() else dataset.rpartition("/")[2]
    head["languages"] = languages or ["und"]
    head["license"] = {"spdx": spdx, "evidence": [{"where": "hub card", "says": word} for word in said or ["none"]]}
    notes = {
        "title": "as the authors write it" if head["title"] != title else "",
        "languages": "the card says so" if languages else "the card says nothing",
        "license": "look at the original repository too",
    }
    return head, notes


def _tree(head: dict[str, Any], notes: dict[str, str], tasks: list[Drafted]) -> Tree:
    items = _items(head, notes)
    if len(tasks) == 1:
        items += _items(tasks[0].keys, tasks[0].notes)
    else:
        listed = [Item(None, Branch(True, _items(task.keys, task.notes))) for task in tasks]
        items.append(Item(Leaf("tasks"), Branch(False, listed)))
    return Tree(list(HEADER), Branch(True, items))


def _items(keys: Mapping[str, Any], notes: Mapping[str, str]) -> list[Item]:
    """Entries with their remarks; those of fields and splits stand beside the inner entries."""
    out = []
    for key, value in keys.items():
        item = Item(Leaf(key), tree_of(value))
        if key in ("fields", "splits") and isinstance(item.value, Branch):
            for inner in item.value.items:
                _remark(inner, notes.get(str(inner.name)))
        _remark(item, notes.get(key))
        out.append(item)
    return out


def _remark(item: Item, note: str | None) -> None:
    if note:
        item.beside = f"# check: {note}"


def _compiled(
    dataset: str,
    head: dict[str, Any],
    task: Drafted,
    vocabularies: Mapping[str, Vocabularies],
) -> CompiledTask | None:
    """The drafted task, compiled; None if it has gaps."""
    root = parse(write_tree(_tree(head, {}, [task])), dataset).require()
    assert isinstance(root, MappingNode)
    problems: list[Problem] = []
    expanded = next(iter(expand(root, problems)), None)
    if expanded is None:
        return None
    known = dict.fromkeys((*task.group.configs, None), task.group.facts)
    shown = tuple(str(v) for row in (task.guess.rows if task.guess else ()) for v in row.values() if isinstance(v, str))
    return compile_task(dataset, (), expanded, known, vocabularies, problems, tuple(dict.fromkeys(shown)) or ("X",))
