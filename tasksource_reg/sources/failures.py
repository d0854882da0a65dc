"""What went wrong when a source was opened: exceptions of the libraries underneath -> one coded error.

`datasets`, the hub client, the HTTP client and the file readers each raise their own kinds, often wrapped twice and
sometimes cut off from their cause. `explain` walks the whole chain and picks the most telling link. Classes are told
apart by name where importing them would load a library or where they moved between versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasksource_reg.errors import TsrError, did_you_mean, error, excerpt
from tasksource_reg.sources.spec import SourceSpec

_NETWORK_MODULES = {"httpx", "httpcore", "h11", "requests", "urllib3", "aiohttp"}
_CORRUPT = {
    "ArrowInvalid",
    "ParserError",
    "EmptyDataError",
    "BadGzipFile",
    "BadZipFile",
    "LZMAError",
    "ZstdError",
    "EOFError",
    "UnicodeDecodeError",
    "JSONDecodeError",
    "NonMatchingSplitsSizesError",
    "UnexpectedSplitsError",
    "ExpectedMoreSplitsError",
    "NonMatchingChecksumError",
    "FileMetadataError",
}
_CUT_OFF_TEXT = re.compile(r"without sending complete message body|IncompleteRead|incomplete chunked read")
_BROKEN_OFF_TEXT = re.compile(f"{_CUT_OFF_TEXT.pattern}|client has been closed")  # another thread's trouble closes it
_CORRUPT_TEXT = re.compile(
    r"consistency check failed|file should be of size|magic bytes|corrupt|truncated|unexpected end of|thrift|"
    r"end-of-stream|checksum|error \d+ while decompressing",
    re.IGNORECASE,
)


def chain(exc: BaseException) -> Iterator[BaseException]:
    """The exception and everything behind it, causes and contexts, each once, outermost first."""
    seen: set[int] = set()
    queue: list[BaseException | None] = [exc]
    while queue:
        link = queue.pop(0)
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            queue += [link.__cause__, link.__context__]


def _status(exc: BaseException) -> int | None:
    code = getattr(getattr(exc, "response", None), "status_code", None)
    return code if isinstance(code, int) else None


def is_passing(exc: BaseException) -> bool:
    """Whether the hub answered that it cannot answer now (429, 502, 503, 504), so that asking again may help."""
    return any(_status(link) in (429, 502, 503, 504) for link in chain(exc))


def is_passing_read(exc: BaseException) -> bool:
    """Whether a read of rows may succeed over another connection: no answer now, or one that broke off.

    While a source is opened a connection that cannot be made is told at once; a run that has read rows for hours waits.
    """
    return any(
        _status(link) in (408, 429, 500, 502, 503, 504)
        or _is_network(link)
        or (isinstance(link, (OSError, RuntimeError)) and bool(_BROKEN_OFF_TEXT.search(str(link))))
        for link in chain(exc)
    )


def _kinds(exc: BaseException) -> set[str]:
    return {cls.__name__ for cls in type(exc).__mro__}


def _is_network(exc: BaseException) -> bool:
    if isinstance(exc, (ConnectionError, TimeoutError)):
        return True
    return type(exc).__module__.split(".")[0].rstrip("0123456789") in _NETWORK_MODULES and _status(exc) is None


def _is_corrupt(exc: BaseException) -> bool:
    name = f"{type(exc).__module__}.{type(exc).__name__}"
    if name == "zlib.error" or _kinds(exc) & _CORRUPT:
        return True
    return isinstance(exc, (OSError, RuntimeError, ValueError)) and bool(_CORRUPT_TEXT.search(str(exc)))


def explain(
    exc: Exception, spec: SourceSpec, *, offline: bool = False, where: str = "on the hub", near: list[str] | None = None
) -> TsrError:
    """The coded error for an exception raised while a source was opened.

    Args:
        exc: what was raised.
        spec: what was being opened.
        offline: whether the network was not to be used.
        where: the place, as the message names it.
        near: names of datasets that exist, for did-you-mean.

    Returns:
        An error for the caller to raise `from exc`; a coded error is passed on as it is.
    """
    if isinstance(exc, TsrError):
        return exc
    links = list(chain(exc))
    name = spec.dataset
    first = next((str(link) for link in links if str(link)), type(exc).__name__)
    reason = excerpt(first.strip().splitlines()[0] if first.strip() else type(exc).__name__, 200)

    def has(*kinds: str) -> bool:
        return any(_kinds(link) & set(kinds) for link in links)

    statuses = [status for link in links if (status := _status(link)) is not None]
    if has("GatedRepoError") or "is a gated dataset" in str(exc):
        return error(
            "TSR-N002",
            f'the dataset "{name}" is gated',
            fix=f"accept its terms on its page on the hub ({name}), then run `hf auth login` or set HF_TOKEN",
        )
    if has("RevisionNotFoundError") or re.search(r"Revision '.*' doesn't exist", str(exc)):
        return error(
            "TSR-N001",
            f'the dataset "{name}" has no revision "{spec.revision or spec.branch}"',
            fix="mend `source.revision` or `source.branch`",
        )
    if has("HfUriError", "HFValidationError"):
        return error(
            "TSR-N001", f'the hub\'s client refuses the id "{name}": {reason}', fix="use the id with its owner"
        )
    if has("OfflineModeIsEnabled") or (offline and has("LocalEntryNotFoundError", "ConnectionError")):
        return error("TSR-N008", f'offline, and the dataset "{spec}" is not in the cache')
    if 401 in statuses:
        return error(
            "TSR-N003",
            f'the hub asks for a login for "{name}": it is private, or it does not exist',
            fix=did_you_mean(name, near or [], also="if it is private, run `hf auth login` or set HF_TOKEN")
            or "check the id; if it is private, run `hf auth login` or set HF_TOKEN",
        )
    if 403 in statuses:
        return error("TSR-N003", f'the token at hand has no access to "{name}"')
    if 404 in statuses and has("RepositoryNotFoundError"):
        return not_found(spec, where, near)
    if any(status == 429 or status >= 500 for status in statuses):
        return error("TSR-N006", f'the hub did not answer for "{name}": {reason}')
    if any("Dataset scripts are no longer supported" in str(link) for link in links):
        return error("TSR-N009", f'the dataset "{name}" is a loading script, which is never run')
    if has("DataFilesNotFoundError", "EmptyDatasetError"):
        return error("TSR-N010", f'no data file of "{name}" fits: {reason}')
    if cut := next((link for link in links if _CUT_OFF_TEXT.search(str(link))), None):
        return error(
            "TSR-N007", f'a file of "{spec}" arrived truncated: {excerpt(str(cut), 200)}', fix="try again later"
        )
    if any(_is_corrupt(link) for link in links):
        telling = next(link for link in reversed(links) if _is_corrupt(link))
        return error("TSR-N007", f'a file of "{spec}" is truncated or corrupt: {excerpt(str(telling), 200)}')
    if has("DatasetNotFoundError"):
        return not_found(spec, where, near)
    if has("FileNotFoundError") and re.search(r"[Uu]nable to find|Couldn't find any data file", str(exc)):
        return error("TSR-N010", f'no file of "{name}" fits the declared pattern: {reason}')
    if any(_is_network(link) for link in links):
        return error("TSR-N006", f'the hub could not be reached for "{name}": {reason}')
    return error("TSR-N011", f'the source "{spec}" could not be read: {type(exc).__name__}: {reason}')


def not_found(spec: SourceSpec, where: str, near: list[str] | None = None) -> TsrError:
    """The error for a dataset that does not exist in the places that were looked at."""
    former = f' (nor "{", ".join(spec.former_ids)}")' if spec.former_ids else ""
    return error("TSR-N001", f'no dataset "{spec.dataset}"{former} {where}', fix=_suggestion(spec, near))


def _suggestion(spec: SourceSpec, near: list[str] | None) -> str | None:
    if not near:
        return None
    short = {known.rsplit("/", 1)[-1]: known for known in near}
    same = [short[tail] for tail in [spec.dataset.rsplit("/", 1)[-1]] if tail in short]
    return f'did you mean "{same[0]}"?' if same else did_you_mean(spec.dataset, near)


def no_config(spec: SourceSpec, configs: list[str]) -> TsrError:
    """The error for a config that the source does not have, or for a choice that must be made among several."""
    if spec.config is None:
        shown = ", ".join(configs[:12]) + (f" and {len(configs) - 12} more" if len(configs) > 12 else "")
        return error("TSR-N004", f'"{spec.dataset}" has several configs and no default', fix=f"name one of: {shown}")
    return error("TSR-N004", f'"{spec.dataset}" has no config "{spec.config}"', fix=did_you_mean(spec.config, configs))


def no_split(spec: SourceSpec, split: str, splits: list[str]) -> TsrError:
    """The error for a split that the source does not have."""
    listed = "there is: " + ", ".join(splits)
    close = did_you_mean(split, splits)
    fix = listed if close is None or close.startswith("there is") else f"{close} {listed}"
    return error("TSR-N005", f'"{spec}" has no split "{split}"', fix=fix, split=split)
