# ruff: noqa: E501
"""Templates in every construct that imported templates use, by group, and rows for them.

Written for the tests and for `benchmarks/render.py`. Each is `(source, answer choices)`; the columns are those of `SCHEMA`.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa

SCHEMA = pa.schema(
    {
        "text": pa.string(),
        "pair": pa.string(),
        "label": pa.int64(),
        "score": pa.float64(),
        "flag": pa.bool_(),
        "options": pa.list_(pa.string()),
        "numbers": pa.list_(pa.int64()),
        "record": pa.struct({"name": pa.string(), "age": pa.int64(), "parts": pa.list_(pa.string())}),
        "records": pa.list_(pa.struct({"kind": pa.string(), "value": pa.int64()})),
        "day": pa.date32(),
    }
)

CONSTRUCTS: dict[str, list[tuple[str, str | None]]] = {
    "slots": [
        ("Read this: {{ text }}\nIs it so that {{ pair }}? ||| {{ ['yes', 'maybe', 'no'][label] }}", None),
        ("{{text}}{{ pair }} {{ label }} {{ score }} {{ flag }} {{ nothing }}|||{{ record.name }}", None),
        ("  {{ text }}\n\n{# a remark #}{{ record['name'] }} {{ record.parts[0] }} ||| {{ records[0].kind }}\n", None),
        ("{{ text }} {{ options }} {{ record }} {{ numbers }} ||| {{ record.age }}", None),
    ],
    "choices": [
        ("{{ text }} Which one, {{ answer_choices | join(' or ') }}? ||| {{ answer_choices[label] }}", "a ||| b ||| c"),
        (
            "{{ text }}\n{% for c in answer_choices %}{{ loop.index }}. {{ c }}\n{% endfor %}||| {{ answer_choices[0] }}",
            "{{ options | join('|||') }}",
        ),
        (
            "{{ pair }} {{ answer_choices[0] }} ||| {{ answer_choices[1] }}",
            "{% if flag %}x ||| y{% else %}y|||x{% endif %}",
        ),
    ],
    "branches": [
        ("{% if flag %}{{ text }} ||| {{ pair }}{% else %}{{ pair }} ||| {{ text }}{% endif %}", None),
        ("{% if label == 0 %}a{% elif label == 1 and not flag %}b{% else %}c{% endif %} ||| {{ text }}", None),
        ("{{ text if flag else pair }} ||| {{ 'yes' if label in [0, 2] else 'no' }}{{ 'x' if flag }}", None),
        ("{%- if text is string and nothing is not defined -%}\n {{ text }} \n{%- endif %} ||| {{ label is odd }}", None),
        ("{{ text or pair }}{{ nothing or 'none' }} ||| {{ 0 < label <= 2 }} {{ pair in text or label not in numbers }}", None),
    ],
    "loops": [
        ("{% for o in options %}{{ loop.index }}/{{ loop.length }} {{ o }}{{ ', ' if not loop.last }}{% endfor %} ||| a", None),
        ("{% for o, n in zip(options, numbers) %}{{ o }}={{ n }};{% else %}none{% endfor %} ||| {{ text }}", None),
        ("{% for r in records if r.value > 1 %}{{ loop.index0 }}{{ r.kind }}{{ loop.first }}{% endfor %} ||| b", None),
        ("{% for i in range(1, 4) %}{{ 'ABCD'[i] }}{{ options[i] }}{{ loop.cycle('x', 'y') }}{% endfor %} ||| c", None),
        ("{% for k, v in record.items() %}{{ k }}: {{ v }}\n{% endfor %} ||| {{ record.keys() | list }}", None),
        ("{% for r in records %}{% for k in r %}{{ k }}{{ r[k] }} {% endfor %}{% endfor %} ||| d", None),
    ],
    "set": [
        ("{% set n = numbers | length %}{% set first, second = options[0], 'b' %}{{ first }}{{ n }} ||| {{ second }}", None),
        ("{% set ns = namespace(found=false) %}{% for o in options %}{% if o in text %}{% set ns.found = o %}{% endif %}"
         "{% endfor %}{{ ns.found }} ||| {{ text }}", None),
        ("{% set said %}{{ text | upper }}!{% endset %}{{ said }} ||| {% with x = 3 %}{{ x + label }}{% endwith %}", None),
        ("{% set names = {0: 'zero', 1: 'one', 'k': pair} %}{{ names[label] }}{{ names.k }} ||| {{ names.get(9, 'x') }}", None),
        ("{% filter upper %}{{ text }}{% endfilter %} ||| {% set x = 1 %}{% if flag %}{% set x = 2 %}{% endif %}{{ x }}", None),
    ],
    "lists": [
        ("{% set seen = [] %}{% for o in options %}{% set _ = seen.append(o ~ '!') %}{% endfor %}{{ seen | join(' ') }}"
         " ||| {{ seen.index(options[0] ~ '!') }}", None),
        ("{% set all = [] %}{% for r in records %}{{ all.append(r.value) or '' }}{% endfor %}{{ all }} ||| {{ all | sum }}", None),
        ("{{ options.index(options[1]) }}{{ numbers.count(1) }} {{ options.pop() }}{{ options[-1] }} ||| {{ options }}", None),
        ("{% set d = {} %}{% for o in options %}{% set _ = d.update({o: loop.index}) %}{% endfor %}{{ d.pop(options[0]) }}"
         " ||| {{ d.keys() | list }}{{ d.values() | list }}", None),
        ("{{ (options + ['x'])[1:] | join('-') }} ||| {{ options[::-1] }}{{ numbers * 2 }}{{ 'ab' * label }}", None),
    ],
    "text filters": [
        ("{{ text | trim | lower | capitalize }} {{ text | upper }} ||| {{ pair | title | replace('a', 'bb') }}", None),
        ("{{ text | length }}{{ text | wordcount }}{{ text | truncate(9) }} ||| {{ text | replace('e', 'é', 1) }}", None),
        ("{{ '%s and %d' | format(pair, label) }}{{ '%(a)s' | format(a=text) }} ||| {{ '%.2f' % score }}", None),
        ("{{ nothing | default('d') }}{{ text | default('e', true) }}{{ nothing | d(label) }} ||| {{ label | string }}", None),
        ("{{ text | first }}{{ text | last }}{{ text | reverse }} ||| {{ text | list | length }}", None),
    ],
    "numbers": [
        ("{{ score | round(1) }} {{ score | round }} {{ score | round(2, 'floor') }} ||| {{ score | int + label }}", None),
        ("{{ (label - 5) | abs }} {{ label | float / 3 }} {{ 7 // 2 }} {{ 2 ** label }} {{ 9 % 4 }} ||| {{ -label }}", None),
        ("{{ numbers | max }}{{ numbers | min }}{{ numbers | sum }} ||| {{ (numbers | sum / (numbers | length)) | round(2) }}", None),
    ],
    "list filters": [
        ("{{ options | join(', ') }}{{ records | join('/', attribute='kind') }} ||| {{ options | first }}{{ options | last }}", None),
        ("{{ options | map('upper') | join(' ') }}{{ records | map(attribute='kind') | list }} ||| {{ options | unique | list }}", None),
        ("{{ records | selectattr('value', 'equalto', 1) | map(attribute='kind') | join }} ||| "
         "{{ records | rejectattr('value') | list | length }}", None),
        ("{{ options | reject('equalto', options[0]) | list }} {{ numbers | select('odd') | list }} ||| "
         "{{ options | reject('in', ['a']) | join }}", None),
        ("{{ numbers | sort(reverse=true) }} {{ options | sort }} ||| {{ records | sort(attribute='value') | first }}", None),
        ("{{ options | most_frequent }}{{ (options | most_frequent)[0] }} ||| {{ numbers | most_frequent }}", None),
        ("{{ record | dictsort }}{{ (record | items | list)[0][0] }} ||| {{ options | map('replace', 'e', 'i') | list }}", None),
        ("{{ (options | map('length') | list | unique | list | length) == 1 }} ||| {{ records | map(attribute='none', default=0) | sum }}", None),
    ],
    "methods": [
        ("{{ text.split() | length }}{{ text.split('e')[0] }} ||| {{ text.split(' ', 1) | last }}{{ text.lower().strip() }}", None),
        ("{{ ', '.join(options) }} {{ text.replace('a', 'b').capitalize() }} ||| {{ text.startswith('A') }}{{ text.find('e') }}", None),
        ("{{ '{} of {}'.format(label, pair) }}{{ '{0[age]:>4}{a[0]}'.format(record, a=options) }} ||| {{ pair.upper() }}", None),
        ("{{ text.strip('.').rsplit(' ', 1)[-1] }} {{ text.split('.', maxsplit=1)[0] }} ||| {{ pair.title().endswith('?') }}", None),
        ("{{ day.year }}-{{ day.month }} {{ day }} ||| {{ record.get('age') }}{{ record.get('none') }}", None),
    ],
}  # fmt: skip

PICKS = [
    ("{{ options | choice }} ||| {{ options | choice }}", None),
    ("{{ ['What', 'Which', 'How'] | choice }} {{ text }}? ||| {{ numbers | random }}", None),
]
"""Templates that pick at random: their texts differ from those of plain Jinja, and lie among them."""

WORDS = ("Ana", "tea", "a river", "seven stones", "", "Élan, né", "market", "under the bridge", "x ||| y", "ß")


def rows(n: int) -> list[dict[str, Any]]:
    """Made-up rows, the same in every run; lists have at least four items."""
    out: list[dict[str, Any]] = []
    for i in range(n):
        words = [WORDS[(i * 7 + k * k) % len(WORDS)] for k in range(4 + i % 3)]
        numbers = [(i + k * 3) % 5 for k in range(4)]
        out.append(
            {
                "text": f"{' '.join(words)} went there.",
                "pair": None if i % 11 == 5 else words[-1] + "?",
                "label": i % 3,
                "score": i / 7,
                "flag": i % 2 == 0,
                "options": words,
                "numbers": numbers,
                "record": {"name": words[0], "age": i, "parts": words[:2]},
                "records": [
                    {"kind": word[:1] or "-", "value": number} for word, number in zip(words, numbers, strict=False)
                ],
                "day": date(2020, 1 + i % 12, 1 + i % 28),
            }
        )
    return out


def batch(rows_: list[dict[str, Any]]) -> pa.RecordBatch:
    """Rows as a batch."""
    return pa.RecordBatch.from_pylist(rows_, schema=SCHEMA)
