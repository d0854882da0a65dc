"""Fetching datasets from the hub into a mirror: the files that tasks need, at pinned commits, checked and on record.

A mirror is a folder laid out as the hub. `MIRROR.json` at its root says what was fetched: ids, commits, configs, files
with sizes and sha256. A file that is on record and whole is not fetched again; one that was cut off is resumed. Where
only some configs or splits of a dataset are fetched, its card is written with these alone, since the others' files are
not there; the hub's own card then stands beside it as `README.hub.md`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tasksource_reg.errors import Problem, TsrError, error, raise_problems
from tasksource_reg.files import write_whole
from tasksource_reg.sources.card import front_matter
from tasksource_reg.sources.failures import explain
from tasksource_reg.sources.inventory import HubFile, Inventory, files_at
from tasksource_reg.sources.opening import Sources
from tasksource_reg.sources.patience import patiently
from tasksource_reg.sources.places import Place
from tasksource_reg.sources.spec import SourceSpec

RECORD = "MIRROR.json"
RECORD_FORMAT = 1
CARD, HUB_CARD = "README.md", "README.hub.md"
STAGING = ".pull"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A config to be fetched: the source at its pinned commit if there is one, and the splits (None: all)."""

    spec: SourceSpec
    splits: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class MirroredFile:
    """A file of a mirror as it was fetched: bytes, and the sha256 of the content."""

    size: int
    sha256: str


@dataclass
class MirroredDataset:
    """What a mirror holds of one dataset.

    Attributes:
        hub_id: the id on the hub when it was fetched.
        commit: the commit that all its files are of.
        configs: the splits of each config that was fetched, and their files.
        files: by name.
        card: `hub`, the hub's own; `reduced`, with the fetched configs alone; `none`.
    """

    hub_id: str
    commit: str
    configs: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    files: dict[str, MirroredFile] = field(default_factory=dict)
    card: str = "none"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())


def read_record(root: Path) -> dict[str, MirroredDataset]:
    """What `MIRROR.json` of a mirror says, by dataset id; empty where there is none.

    Raises:
        SourceError: TSR-N007, the record is damaged.
    """
    path = root / RECORD
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if body["format"] != RECORD_FORMAT:
            raise ValueError(f"format {body['format']}")
        return {
            name: MirroredDataset(
                d["hub_id"],
                d["commit"],
                d["configs"],
                {n: MirroredFile(**f) for n, f in d["files"].items()},
                d["card"],
            )
            for name, d in body["datasets"].items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as exc:
        raise error("TSR-N007", f'"{path}" is no record of a mirror: {exc}', fix="remove it and pull again") from exc


def write_record(root: Path, datasets: Mapping[str, MirroredDataset]) -> None:
    """Writes `MIRROR.json`, whole or not at all."""
    body = {"format": RECORD_FORMAT, "datasets": {name: asdict(d) for name, d in sorted(datasets.items())}}
    write_whole(root / RECORD, (json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())


def damaged(root: Path, only: str | None = None) -> list[Problem]:
    """The files on record that are missing or differ, each as a problem.

    Args:
        root: the mirror's folder.
        only: one dataset; all without it.
    """
    problems = []
    for name, dataset in read_record(root).items():
        for path, file in dataset.files.items() if only in (None, name) else ():
            place = root / name / path
            if not place.is_file():
                problems.append(Problem("TSR-N007", f'"{name}/{path}" is missing', "pull it again"))
            elif place.stat().st_size != file.size or sha256_of(place) != file.sha256:
                problems.append(Problem("TSR-N007", f'"{name}/{path}" differs from the record', "pull it again"))
    return problems


def pulled(place: Place) -> MirroredDataset | None:
    """What `MIRROR.json` says of a dataset in a mirror; None where it says nothing, or the place is no mirror's."""
    root = _root_of(place)
    return None if root is None else read_record(root).get(place.name)


def pulled_commit(place: Place) -> str | None:
    """The commit that a dataset in a mirror is of: it was pulled, and every file is as it was then."""
    root, dataset = _root_of(place), pulled(place)
    return dataset.commit if root is not None and dataset is not None and not damaged(root, place.name) else None


def _root_of(place: Place) -> Path | None:
    if place.kind != "mirror" or place.path is None:
        return None
    return place.path.parents[place.name.count("/")]


def pull(
    wanted: Iterable[Wanted], root: Path, sources: Sources, progress: Callable[[str, int], None] = lambda *_: None
) -> dict[str, MirroredDataset]:
    """Fetches configs into a mirror; what is there and whole is kept.

    The record is written after each dataset, so that a run that ends early is resumed. A dataset that cannot be fetched
    does not keep the others back; the error at the end names all that failed.

    Args:
        wanted: what is fetched, any number of configs of any datasets.
        root: the mirror's folder; made if it is not there.
        sources: the hub's token, and whether it may be asked; its mirrors are not looked at.
        progress: told the name and the bytes of each file before it is fetched.

    Returns:
        what the mirror holds now of the datasets that were asked for.

    Raises:
        SourceError: TSR-N001 to N011; TSR-N007, a file arrived otherwise than the hub says.
        FindingsError: TSR-L001, two commits of one dataset are wanted, or the mirror holds another one.
    """
    root.mkdir(parents=True, exist_ok=True)
    by_dataset: dict[str, list[Wanted]] = {}
    for item in wanted:
        by_dataset.setdefault(item.spec.dataset, []).append(item)
    record = read_record(root)
    problems: list[Problem] = []
    for name, items in by_dataset.items():
        try:
            record[name] = _dataset(name, items, root, record.get(name), sources, progress)
        except TsrError as exc:
            problems += exc.problems
        else:
            write_record(root, record)
    raise_problems(problems)
    shutil.rmtree(root / STAGING, ignore_errors=True)
    return {name: record[name] for name in by_dataset}


def _dataset(
    name: str,
    items: Sequence[Wanted],
    root: Path,
    had: MirroredDataset | None,
    sources: Sources,
    progress: Callable[[str, int], None],
) -> MirroredDataset:
    found = [(item, sources.inventory(item.spec)) for item in items]
    commits = sorted({inventory.commit for _, inventory in found})
    if len(commits) > 1:
        shown = ", ".join(commit[:12] for commit in commits)
        fix = "lock all its tasks together, or pull them into two folders"
        raise error("TSR-L001", f'the tasks of "{name}" are of different commits: {shown}', fix=fix)
    hub_id = found[0][1].name
    if had is not None and had.commit != commits[0]:
        message = f'{root} holds "{name}" at {had.commit[:12]}, wanted is {commits[0][:12]}'
        raise error("TSR-L001", message, fix=f"pull into another folder, or remove {root / name} and its record")
    dataset = had or MirroredDataset(hub_id, commits[0])
    files: dict[str, HubFile] = {}
    for item, inventory in found:
        splits = _splits(item, inventory)
        files |= {f.path: f for split in splits for f in inventory.files[split]}
        config = "" if _is_raw(item.spec) else inventory.config  # raw files belong to no config of the card
        own = dataset.configs.setdefault(config, {})
        own |= {split: [f.path for f in inventory.files[split]] for split in splits}
    own_card = files_at(hub_id, dataset.commit, [CARD], sources.token)
    fetched = _Fetcher(name, hub_id, dataset, root, sources, progress)
    for file in files.values():
        fetched.fetch(file)
    _write_card(root / name, dataset, own_card.get(CARD), found, fetched)
    return dataset


def _splits(item: Wanted, inventory: Inventory) -> tuple[str, ...]:
    """The splits to fetch: those wanted that are there; all where none is named."""
    if item.splits is None:
        return tuple(inventory.files)
    missing = [split for split in item.splits if split not in inventory.files]
    if missing:
        there = f"there is: {', '.join(inventory.files)}"
        raise error("TSR-N005", f'"{item.spec}" has no split "{missing[0]}"', fix=there, split=missing[0])
    return item.splits


class _Fetcher:
    """Fetches single files of one dataset into place."""

    def __init__(
        self,
        name: str,
        hub_id: str,
        dataset: MirroredDataset,
        root: Path,
        sources: Sources,
        progress: Callable[[str, int], None],
    ) -> None:
        self.name, self.hub_id, self.dataset, self.root = name, hub_id, dataset, root
        self.sources, self.progress = sources, progress

    def fetch(self, file: HubFile, target: str | None = None) -> None:
        """Fetches a file unless it is there; with `target`, under that name."""
        place = self.root / self.name / (target or file.path)
        known = self.dataset.files.get(target or file.path)
        there = known is not None and place.is_file() and place.stat().st_size == file.size == known.size
        if there and known is not None and sha256_of(place) == known.sha256 == (file.sha256 or known.sha256):
            return
        self.progress(f"{self.name}/{file.path}", file.size)
        arrived = self._download(file)
        digest = self._verified(arrived, file)
        place.parent.mkdir(parents=True, exist_ok=True)
        with arrived.open("rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(arrived, place)
        self.dataset.files[target or file.path] = MirroredFile(file.size, digest)

    def _download(self, file: HubFile) -> Path:
        """The file in the staging folder; what an earlier run left there is resumed."""
        import huggingface_hub

        from tasksource_reg.sources.prepare import library_output

        staging = self.root / STAGING / self.name
        spec = SourceSpec(self.name, revision=self.dataset.commit)

        def fetched() -> str:
            with library_output(self.sources.verbose):
                return huggingface_hub.hf_hub_download(
                    self.hub_id,
                    file.path,
                    repo_type="dataset",
                    revision=self.dataset.commit,
                    local_dir=staging,
                    token=self.sources.token,
                )

        try:
            return Path(patiently(fetched))
        except Exception as exc:
            raise explain(exc, spec, offline=self.sources.offline) from exc

    def _verified(self, arrived: Path, file: HubFile) -> str:
        """The sha256 of a file that is what the hub says it is.

        Raises:
            SourceError: TSR-N007, it is not; the file is removed.
        """
        digest = sha256_of(arrived)
        size = arrived.stat().st_size
        whole = size == file.size and (digest == file.sha256 if file.sha256 else blob_id(arrived) == file.blob)
        if whole:
            return digest
        arrived.unlink()
        message = f'"{self.name}/{file.path}" arrived with {size:,} bytes and other content than the hub names'
        raise error("TSR-N007", message, fix="pull again")


def _write_card(
    folder: Path,
    dataset: MirroredDataset,
    own: HubFile | None,
    found: Sequence[tuple[Wanted, Inventory]],
    fetched: _Fetcher,
) -> None:
    """Puts the card into place: the hub's own where everything that it names is here, else a reduced one."""
    reduced = dataset.card == "reduced" or _is_partial(dataset, found)
    if own is not None:
        if reduced and dataset.card == "hub":
            os.replace(folder / CARD, folder / HUB_CARD)
            dataset.files[HUB_CARD] = dataset.files.pop(CARD)
        fetched.fetch(own, HUB_CARD if reduced else CARD)
    dataset.card = "reduced" if reduced else "hub" if own is not None else "none"
    if reduced:
        path = folder / HUB_CARD
        head = front_matter(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else {}
        body = reduced_card(head, {name: splits for name, splits in dataset.configs.items() if name}).encode()
        write_whole(folder / CARD, body)
        dataset.files[CARD] = MirroredFile(len(body), hashlib.sha256(body).hexdigest())


def _is_partial(dataset: MirroredDataset, found: Sequence[tuple[Wanted, Inventory]]) -> bool:
    """Whether the hub's card would name configs or splits that are not here, or does not name those that are."""
    for item, inventory in found:
        if _is_raw(item.spec):
            continue
        if item.spec.branch is not None or not set(inventory.configs) <= set(dataset.configs):
            return True
        if not set(inventory.files) <= set(dataset.configs[inventory.config]):
            return True
    return False


def _is_raw(spec: SourceSpec) -> bool:
    """Whether the annotation names files or a folder itself, so that the card's configs do not matter."""
    return spec.files is not None or spec.dir is not None


def reduced_card(head: Mapping[str, Any], configs: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """A dataset card that names only the configs and splits at hand, with the very files of each.

    Args:
        head: the front matter of the hub's card.
        configs: the files of each split of each config.
    """
    import yaml

    before = {str(c.get("config_name", "default")): c for c in _list(head.get("configs"))}
    info = _list(head.get("dataset_info"))
    kept = []
    for record in info:
        name = str(record.get("config_name", "default"))
        if name in configs:
            sizes = [s for s in _list(record.get("splits")) if s.get("name") in configs[name]]
            kept.append({**record, **({"splits": sizes} if "splits" in record else {})})
    out = {k: v for k, v in head.items() if k not in ("configs", "dataset_info")}
    out["configs"] = [
        {
            **{k: v for k, v in before.get(name, {"config_name": name}).items() if k not in ("data_files", "data_dir")},
            "data_files": [{"split": s, "path": list(paths)} for s, paths in splits.items()],
        }
        for name, splits in configs.items()
    ]
    if kept:
        out["dataset_info"] = kept
    text = yaml.safe_dump(out, sort_keys=False, allow_unicode=True, width=110)
    return f"---\n{text}---\n\nReduced to the configs and splits that are here; the hub's card is {HUB_CARD}.\n"


def _list(value: Any) -> list[dict[str, Any]]:
    """The mappings of a list, or the one mapping that stands for a list of one."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def blob_id(path: Path) -> str:
    """The git blob id of a file, 40 hexadecimal digits."""
    total = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            total.update(block)
    return total.hexdigest()
