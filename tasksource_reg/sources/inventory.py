"""The data files of a config on the hub, split by split, with what the hub knows of each: size and content hash.

No data file is fetched. Locks keep a digest of it, so that a later commit can be told from later rows; `mirror pull`
fetches by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from tasksource_reg.errors import error
from tasksource_reg.sources import hub, prepare
from tasksource_reg.sources.places import Place
from tasksource_reg.sources.spec import SourceSpec, digest

BATCH = 256  # paths asked for in one request
_HUB_URL = re.compile(r"hf://datasets/[^@]+@[^/]+/(?P<path>.+)$")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file at a commit.

    Attributes:
        path: its name in the dataset.
        size: bytes.
        blob: the git blob id (sha1 over a header and the content); of large files that of their pointer.
        sha256: of the content, for large files; None where the hub does not say it.
    """

    path: str
    size: int
    blob: str
    sha256: str | None = None

    @property
    def content(self) -> str:
        """The hash that stands for the content."""
        return self.sha256 or self.blob


@dataclass(frozen=True, slots=True)
class Inventory:
    """The data files of one config at one commit.

    Attributes:
        name: the dataset's id on the hub.
        commit: the commit.
        gated: whether the hub asks for an agreement before it gives files.
        config, configs: the config, and all that there are.
        files: the data files of each split, in the order in which they are read.
    """

    name: str
    commit: str
    gated: bool
    config: str
    configs: tuple[str, ...]
    files: Mapping[str, tuple[HubFile, ...]]

    def contents(self) -> dict[str, str]:
        """For each split 32 hexadecimal digits over its files: equal digits, equal files."""
        return {split: digest([[f.path, f.content] for f in files]) for split, files in self.files.items()}


def take_inventory(spec: SourceSpec, token: str | bool | None) -> Inventory:
    """Asks the hub for the data files of a config.

    Args:
        spec: the source; mirrors are not looked at.
        token: the hub token; None takes the stored one.

    Raises:
        Exception: what the hub's client and `datasets` raise, for `failures.explain`; TSR-N004, N009, N010.
    """
    state = hub.ask(spec, token)
    place = Place("hub", state.name)
    request = prepare.request_for(state.spec, place, state.commit, state.files)
    builder, configs = prepare.load_builder(state.spec, place, request, token)
    names = {str(s): [path_of(str(f), spec) for f in found] for s, found in (builder.config.data_files or {}).items()}
    known = files_at(state.name, state.commit, sorted({n for found in names.values() for n in found}), token)
    files = {split: tuple(known[n] for n in dict.fromkeys(found)) for split, found in names.items()}
    return Inventory(state.name, state.commit, state.gated, spec.config or builder.config.name, configs, files)


def files_at(name: str, commit: str, paths: list[str], token: str | bool | None) -> dict[str, HubFile]:
    """What the hub knows of files at a commit; files that are not there are left out."""
    import huggingface_hub

    api = huggingface_hub.HfApi(token=token, library_name="tasksource_reg")
    found: dict[str, HubFile] = {}
    for start in range(0, len(paths), BATCH):
        for info in api.get_paths_info(name, paths[start : start + BATCH], revision=commit, repo_type="dataset"):
            if isinstance(info, huggingface_hub.hf_api.RepoFile):
                large = info.lfs.sha256 if info.lfs is not None else None
                found[info.path] = HubFile(info.path, info.size, info.blob_id, large)
    return found


def path_of(address: str, spec: SourceSpec) -> str:
    """The name in its dataset of a data file that `datasets` addresses.

    Raises:
        SourceError: TSR-N011, the file is not on the hub.
    """
    match = _HUB_URL.match(address.rsplit("::", 1)[-1])
    if match is None:
        raise error("TSR-N011", f'"{spec}" reads "{address}", which is no file of the hub')
    return unquote(match["path"])
