"""Writing files whole: a file appears under its final name only when it is complete."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: Path, *, synced: bool = True) -> Iterator[Path]:
    """A temporary path beside `path`; what is written there is synced and renamed into place on a clean exit.

    A file that can do without (`synced`) may be empty or torn after the machine lost power.

    On an exception the temporary file is removed and `path` is left as it was.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if synced:
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes, *, synced: bool = True) -> None:
    """Writes bytes to a file, whole or not at all; `synced` as for `whole_file`."""
    with whole_file(path, synced=synced) as temporary:
        temporary.write_bytes(data)
