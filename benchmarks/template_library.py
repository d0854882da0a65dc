"""What the template library holds, family by family: how many templates, which facets, how alike, which languages.

    python benchmarks/template_library.py [--alike 12]

One line for each file of `templates/`: English templates and translated ones; of the English ones the forms, how they
show the options (lettered or numbered, bulleted, inline), hide them, or claim neither, how long they are, how many are
inverted or need a rationale; and the pair that is most alike, by the larger of two overlaps of the words that the texts
print, with a word for each name that a tag takes: as sets (Jaccard), and in order (difflib's ratio). Then the most
alike pairs of all, translations by family and language, and the families by datasets and tasks.

Bars, of which each one missed is printed and makes the exit code 1: in every file 8 English templates, each form, a
terse, a wordy and a defining one, an inverted one; where there are options, all three ways to show them and one
template that hides them (`WAIVED` lists what is left out, and why); one for rationales where a task of the family
has them; no pair above 0.8; 4 translations into each of 6 languages for each of 6 families, each with its origin.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

from jinja2 import nodes

from tasksource_reg.annotation.load import read_annotation
from tasksource_reg.authoring.template_words import ALIKE, likeness
from tasksource_reg.prompting.library import TemplateLibrary
from tasksource_reg.prompting.model import Template
from tasksource_reg.prompting.syntax import inspect
from tasksource_reg.registry import Registry

ROOT = Path(__file__).resolve().parents[1]
LEAST = 8
FORMS = ("question", "instruction", "completion", "dialogue")
STYLES = ("lettered", "bulleted", "inline")
LENGTHS = ("terse", "wordy", "definition")
OPTIONLESS = frozenset({"score", "extractive_qa", "generation", "chat", "preference"})
"""Schemas without a closed list of options that a prompt could show."""

TAGGED = ("chunking_srl", "dependency_relations", "pos_tagging", "schema token_tags")
WAIVED = frozenset(
    {("inverted", name) for name in ("toxicity", "safety_guardrail")}
    | {("lettered", name) for name in ("language_id", *TAGGED)}
)
"""What some files need not have: nobody is asked to write abuse or attacks; hundreds of languages are not told apart by
letter or number; and a tag for each token is written as it is."""

SHOWN = frozenset({"options", "types", "choices", "documents"})
"""Names of the scope that a prompt shows as options."""

LANGUAGES = ("de", "fr", "es", "zh", "ar", "hi")
TRANSLATED = 4
COLUMNS = (
    "en", "tr", "quest", "instr", "compl", "dialo", "letter", "bullet", "inline", "hidden", "neither", "terse", "wordy",
    "defin", "invert", "ration", "alike",
)  # fmt: skip


def english(template: Template) -> bool:
    """Whether a template counts as an English one: it is, or fits every language."""
    return template.speaks("en")


def style(template: Template) -> str:
    """How a template shows its options: lettered (or numbered), bulleted, inline, hidden, or neither is claimed."""
    if template.options_shown is None:
        return "neither"
    if not template.options_shown:
        return "hidden"
    used: set[str] = set()
    for text in (template.system, template.prompt):
        tree = inspect(text).tree if text else None
        for node in tree.find_all(nodes.Filter) if tree is not None else ():
            if any(name.name in SHOWN for name in node.find_all(nodes.Name)):
                used.add(node.name)
    if used & {"lettered", "numbered"}:
        return "lettered"
    return "bulleted" if "bulleted" in used else "inline"


def facets(templates: list[Template]) -> Counter[str]:
    """How many templates have each facet."""
    found: Counter[str] = Counter()
    for t in templates:
        found.update([t.form or "", style(t), t.length or ""])
        found.update((["inverted"] if t.inverted else []) + (["rationale"] if "rationale" in t.needs else []))
    return found


def alike(templates: list[Template]) -> list[tuple[float, str, str]]:
    """Pairs of one language with their likeness, most alike first."""
    pairs = (p for p in combinations(templates, 2) if p[0].languages == p[1].languages)
    return sorted(((likeness(one, other), one.id, other.id) for one, other in pairs), reverse=True)


def missed(name: str, templates: list[Template], rationales: set[str]) -> list[str]:
    """The bars that the English templates of a file miss."""
    found = facets(templates)
    wanted = [*FORMS, *LENGTHS]
    if not {t.schema for t in templates} <= OPTIONLESS:
        wanted += [one for one in (*STYLES, "hidden") if (one, name) not in WAIVED]
    if ("inverted", name) not in WAIVED:
        wanted.append("inverted")
    if name in rationales:
        wanted.append("rationale")
    out = [f"{name}: no template is {what}" for what in wanted if not found[what]]
    return out + ([f"{name}: {len(templates)} of {LEAST} English templates"] if len(templates) < LEAST else [])


def with_rationales(registry: Registry) -> set[str]:
    """Families and schemas with a task that has rationales."""
    found = set()
    for path in registry.annotation_files():
        for task in read_annotation(path).tasks:
            fields = task.node.get("fields")
            if fields is not None and "rationale" in fields.plain():
                found |= {task.text("family") or "", task.text("schema") or ""}
    return found


def translations(templates: tuple[Template, ...]) -> tuple[dict[str, Counter[str]], list[str]]:
    """Translated templates by family and language, and the bars that they miss."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    out = []
    for t in templates:
        if english(t):
            continue
        found[t.family or t.schema].update(t.languages or ())
        if not (t.origin or "").startswith("translated from "):
            out.append(f"{t.id}: origin does not say what it is translated from")
    full = [name for name, by in found.items() if all(by[tag] >= TRANSLATED for tag in LANGUAGES)]
    if len(full) < 6:
        out.append(f"{len(full)} of 6 families have {TRANSLATED} translations into each of {', '.join(LANGUAGES)}")
    return found, out


def print_families(registry: Registry, translated: dict[str, Counter[str]]) -> None:
    """The families by how many datasets and tasks they have, in all and in the six languages."""
    datasets: dict[str, set[str]] = defaultdict(set)
    tasks: Counter[str] = Counter()
    spoken: Counter[str] = Counter()
    for info in registry.tasks():
        name = info.family or "-"
        datasets[name].add(info.dataset)
        tasks[name] += 1
        spoken[name] += bool({tag.split("-")[0] for tag in info.languages} & set(LANGUAGES))
    print(f"\n{'family':28} datasets tasks in {', '.join(LANGUAGES)}")
    for name in sorted(tasks, key=lambda n: (-len(datasets[n]), -tasks[n]))[:16]:
        mark = "translated" if name in translated else ""
        print(f"{name:28} {len(datasets[name]):8} {tasks[name]:5} {spoken[name]:6}  {mark}")


def main() -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--alike", type=int, default=12, help="how many of the most alike pairs are listed")
    options = parser.parse_args()
    registry, library = Registry(), TemplateLibrary.load([ROOT])
    rationales = with_rationales(registry)
    groups: dict[str, list[Template]] = defaultdict(list)
    for t in library.all():
        groups[t.family or f"schema {t.schema}"].append(t)
    found: list[str] = []
    pairs: list[tuple[float, str, str]] = []
    print(f"{'':32}" + "".join(f"{c:>8}" for c in COLUMNS))
    for name, group in sorted(groups.items(), key=lambda item: (item[0].startswith("schema "), item[0])):
        own = [t for t in group if english(t)]
        found += missed(name, own, rationales | {f"schema {s}" for s in rationales})
        likest = alike(group)
        pairs += likest
        by = facets(own)
        counts = [len(own), len(group) - len(own)]
        counts += [by[f] for f in (*FORMS, *STYLES, "hidden", "neither", *LENGTHS, "inverted", "rationale")]
        print(f"{name:32}" + "".join(f"{n:8}" for n in counts) + f"{likest[0][0] if likest else 0:8.2f}")
    total = sum(len(g) for g in groups.values())
    print(f"\n{total} templates, {sum(english(t) for g in groups.values() for t in g)} of them English")
    print(f"\nmost alike, of {len(pairs)} pairs")
    for value, one, other in sorted(pairs, reverse=True)[: options.alike]:
        print(f"{value:.2f}  {one}  {other}")
    found += [f"{one} and {other} are {value:.2f} alike" for value, one, other in pairs if value > ALIKE]
    translated, wrong = translations(library.all())
    print(f"\n{'translated':28}" + "".join(f"{tag:>4}" for tag in LANGUAGES))
    for name, tags in sorted(translated.items()):
        print(f"{name:28}" + "".join(f"{tags[tag]:4}" for tag in LANGUAGES))
    print_families(registry, translated)
    found += wrong
    print("\n" + ("\n".join(f"MISSED {line}" for line in found) if found else "every bar is met"))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
