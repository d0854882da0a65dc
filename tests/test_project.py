"""Rules that hold for the whole tree: what files may hold, how large they are, which way imports go, what docs say."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tasksource_reg.error_codes import CODES

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tasksource_reg"
MODULES = sorted(PACKAGE.rglob("*.py"))

MAX_FILE_BYTES = 1_000_000
MAX_MODULE_LINES = 450  # 400 is the aim; a module that comes near is one to split

# The rooms of docs/architecture.md, top to bottom; imports go down this list, never up and never to and fro.
ROOMS = (
    "cli", "api", "adapters", "views", "upstream", "audit", "export", "authoring", "interop", "mixing", "workspace",
    "registry", "query", "label_inventory", "likeness", "task", "rows", "prompting", "annotation", "sources", "ops",
    "text_kernels", "provenance", "demo", "schemas", "features", "nested", "keyed", "yaml_reader", "yaml_nodes",
    "yaml_scalars", "cache", "files", "paths", "errors", "error_codes",
)  # fmt: skip

OPEN = {"__init__", "__main__"}  # the package's own names, which lead everywhere

RUNTIME = {
    "click", "datasets", "filelock", "ftfy", "jinja2", "numpy", "pandas", "pyarrow", "pydantic", "pyyaml", "rich",
    "ruamel.yaml",
}  # fmt: skip

MACHINE = re.compile(
    r"(?<![\w./~*])/(?:work|root|opt|home/(?!someone\b)\w+|Users/\w+)/\w"  # folders of a machine
    r"|--(?:extra-)?index-url|--find-links|--trusted-host|pypi\.org/simple|://[^\s/]*artifactory"  # package indices
    r"|\bfile://localhost"
)


@cache
def tracked() -> tuple[Path, ...]:
    """The files of the project: those that git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def texts() -> Iterator[tuple[str, str]]:
    for path in tracked():
        if path != Path(__file__):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8", errors="replace")


def test_no_file_names_a_machine_or_a_package_index() -> None:
    found = [f"{name}: {match[0]}" for name, text in texts() for match in MACHINE.finditer(text)]
    assert not found


def test_no_file_is_large() -> None:
    assert not [path for path in tracked() if path.stat().st_size > MAX_FILE_BYTES]


def test_no_build_product_or_cache_is_tracked() -> None:
    junk = re.compile(r"(^|/)(__pycache__|\.venv|out|dist|build|\.[a-z]+_cache|\.hypothesis)/|\.(pyc|whl|egg-info)$")
    assert not [path for path in tracked() if junk.search(path.relative_to(ROOT).as_posix())]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_modules_are_short_and_say_what_they_are(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    lines = text.count("\n")
    assert lines <= MAX_MODULE_LINES
    assert ast.get_docstring(ast.parse(text)), "a module starts with a docstring"


# Imports


def imported(module: Path) -> set[str]:
    """The rooms that a module imports, in functions and for type checking too."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            parts = (node.module or "").split(".")
            if parts[0] == "tasksource_reg":
                found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {parts[1] for parts in names if parts[0] == "tasksource_reg" and len(parts) > 1}
    return found


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).with_suffix("").parts[0]


def test_every_room_stands_in_the_table_and_in_the_architecture_page() -> None:
    rooms = {room_of(module) for module in MODULES} - OPEN
    assert rooms <= set(ROOMS)
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert not [room for room in sorted(rooms) if f"`{room}/" not in page and f"`{room}.py`" not in page]


def test_imports_go_down() -> None:
    depth = {room: number for number, room in enumerate(ROOMS)}
    upward = []
    for module in MODULES:
        room = room_of(module)
        if room in OPEN:
            continue
        for target in imported(module) & set(ROOMS) - {room}:
            if depth[target] < depth[room]:
                upward.append(f"{module.relative_to(ROOT)} imports {target}")
    assert not upward


def test_datasets_is_imported_by_sources_and_adapters_only() -> None:
    allowed = {"sources", "api", "adapters", "views", "features"}
    found = {
        room_of(module)
        for module in MODULES
        if re.search(r"^\s*(import datasets|from datasets)\b", module.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found <= allowed


# What is written about the project


def test_generated_pages_are_fresh() -> None:
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    assert not [path.name for path in generate["stale"]()], "run `make docs`"


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert not broken


def test_pages_that_error_messages_name_are_there() -> None:
    named = {page for code in CODES.values() for page in re.findall(r"docs/\w+\.md", code.fix)}
    assert not [page for page in named if not (ROOT / page).is_file()]


def test_the_changelog_has_an_unreleased_section() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_error_code_stands_in_a_test() -> None:
    named = set()
    for path in (ROOT / "tests").rglob("*"):
        if path.suffix in (".py", ".yaml") and path != Path(__file__):
            text = path.read_text(encoding="utf-8", errors="replace")  # one fixture is not UTF-8
            named |= set(re.findall(r"TSR-[A-Z]\d{3}", path.name + text))
    missing = sorted(set(CODES) - named)
    assert not missing


def test_every_error_code_is_raised_somewhere() -> None:
    modules = [path for path in MODULES if path.name != "error_codes.py"]
    named = {code for path in modules for code in re.findall(r"TSR-[A-Z]\d{3}", path.read_text(encoding="utf-8"))}
    missing = sorted(set(CODES) - named)
    assert not missing


# Packaging


def test_runtime_dependencies_are_the_agreed_ones() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[<>=!~\[ ]", requirement)[0] for requirement in project["dependencies"]}
    assert names == RUNTIME


def test_every_development_requirement_is_pinned() -> None:
    lines = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert not [line for line in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", line)]
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [
        re.split(r"[<>=!~\[ ]", r)[0].lower() for r in (*project["dependencies"], *extras["test"], *extras["dev"])
    ]
    assert not set(wanted) - pinned - {"tasksource-reg"}
