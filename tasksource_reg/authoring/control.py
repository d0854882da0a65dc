"""`tsr mix control`: the file of a mixture's control, with the comments of the mixture's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tasksource_reg.authoring.fmt import format_text
from tasksource_reg.authoring.yaml_layout import Branch, Item, Leaf, read_tree, tree_of, write_tree
from tasksource_reg.errors import error
from tasksource_reg.files import write_whole
from tasksource_reg.mixing.resolve import Resolved, mixture_file, resolve_mixture
from tasksource_reg.mixing.spec import ControlSpec, ScoresSpec, controlled_spec, read_mixture
from tasksource_reg.workspace import Workspace


def write_control(workspace: Workspace, mixture: str, task: str | None, out: Path) -> Resolved:
    """Writes the control of a mixture as a file, once it resolves.

    Args:
        workspace: where tasks come from.
        mixture: a path, or a name under mixtures/.
        task: the id of a task whose rows come alone; None for all rows, unordered.
        out: the file; paths in the mixture are written relative to it.

    Returns:
        the control, resolved.

    Raises:
        UsageError: TSR-U005, the file exists or cannot be written, or the mixture is a control itself; TSR-U001, no
            task of the mixture.
        FindingsError: as `resolve_mixture`; TSR-M013, the mixture is no longer what was locked.
    """
    if out.exists():
        raise error("TSR-U005", f'"{out}" exists', fix="write to another file")
    file = mixture_file(workspace, mixture)
    spec = controlled_spec(read_mixture(file), task)
    resolve_mixture(workspace, file)  # refuses what is no longer as it was locked
    resolved = resolve_mixture(workspace, spec, folder=file.parent.absolute())
    tree = read_tree(file.read_text(encoding="utf-8"))
    assert isinstance(tree.root, Branch)
    control = {"task": spec.control.task} if isinstance(spec.control, ControlSpec) else spec.control
    _set(tree.root, "mixture", spec.mixture)
    _set(tree.root, "control", control)
    by = spec.scored.by if spec.scored is not None else None
    if isinstance(by, ScoresSpec):
        scores = os.path.relpath(file.parent / by.scores, out.parent)
        _set(_inside(_inside(tree.root, "order"), "by"), "scores", Path(scores).as_posix())
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, format_text(write_tree(tree), str(out)).encode())
    except OSError as exc:
        raise error("TSR-U005", f'"{out}" cannot be written: {exc}', fix="write to another place") from exc
    return resolved


def _inside(branch: Branch, key: str) -> Branch:
    value = next(item.value for item in branch.items if item.name == key)
    assert isinstance(value, Branch)
    return value


def _set(branch: Branch, key: str, value: Any) -> None:
    """Gives a key of a mapping another value; its comments stay."""
    for item in branch.items:
        if item.name == key:
            item.value = tree_of(value)
            return
    branch.items.append(Item(Leaf(key), tree_of(value)))
