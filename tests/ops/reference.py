"""A row-by-row reading of expressions in plain Python, written from the format and the docs of the ops.

It shares nothing with the Arrow functions. A row fails (`Failure`) where an op cannot give a value; what a row does not
need is not computed: the side of `if` not taken, later values of `coalesce`, elements of a written list that `pick`
does not pick, conditions after the one that decides, elements that `where` leaves out.
"""

from __future__ import annotations

import html
import json
import re
from typing import Any

import ftfy
import numpy as np


class Failure(Exception):
    """The row has no value; the argument is the code."""


def interpret(expr: Any, env: dict[str, Any]) -> Any:
    """The value of an expression (as plain YAML) for one row, whose columns and variables are in `env`."""
    if isinstance(expr, str):
        return path(expr, env)
    if isinstance(expr, list):
        out: list[Any] = []
        for item in expr:
            if isinstance(item, dict) and "spread" in item:
                out += interpret(item["spread"], env) or []
            else:
                out.append(interpret(item, env))
        return out
    if not isinstance(expr, dict):
        return expr
    if "of" in expr:
        value = interpret(expr["of"], env)
        return verbs(value, {k: v for k, v in expr.items() if k != "of"}, env)
    key = next(k for k in expr if k in OPS)
    return OPS[key](expr[key], expr, env)


def path(text: str, env: dict[str, Any]) -> Any:
    first, *steps = text.split(".")
    return walk(env[first], steps)


def walk(value: Any, steps: list[str]) -> Any:
    if not steps or value is None:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(value, list):
        if re.fullmatch(r"-?\d+", step):
            i = int(step)
            return walk(value[i], rest) if -len(value) <= i < len(value) else None
        return [walk(v, rest if step == "*" else steps) for v in value]
    return walk(value.get(step), rest)


def lift(function: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [lift(function, v) for v in value]
    return None if value is None else function(value)


def shortest(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or value == []


def engine(pattern: str) -> str:
    """An RE2 pattern for Python: `$` is the end of the text only."""
    return pattern.replace("$", r"\Z")


# Conditions: True, False or None


def verbs(value: Any, uses: dict[str, Any], env: dict[str, Any]) -> bool | None:
    results = [verb(name, value, right, env) for name, right in uses.items()]
    return False if False in results else None if None in results else True


def verb(name: str, value: Any, right: Any, env: dict[str, Any]) -> bool | None:
    if name in ("not", "every", "some", "length"):
        if isinstance(right, int):
            right = {"equals": right}
        if name == "not":
            inner = verbs(value, right, env)
            return None if inner is None else not inner
        if name == "length":
            return verbs(None if value is None else len(value), right, env)
        if value is None:
            return None
        each = [verbs(v, right, env) is True for v in value]
        return all(each) if name == "every" else any(each)
    if name == "is_null":
        return (value is None) == right
    if name == "is_blank":
        return blank(value) == right
    other = interpret(right, env) if isinstance(right, dict) else right
    if value is None or other is None:
        return None
    if name == "all_different":
        seen = [json.dumps(v) for v in value]
        return (len(set(seen)) == len(seen)) == other
    return {
        "equals": lambda: value == other,
        "differs": lambda: value != other,
        "above": lambda: value > other,
        "at_least": lambda: value >= other,
        "below": lambda: value < other,
        "at_most": lambda: value <= other,
        "in": lambda: value in [o for o in other if o is not None],
        "has": lambda: other in [v for v in value if v is not None],
        "contains": lambda: other in value,
        "starts_with": lambda: value.startswith(other),
        "matches": lambda: re.search(engine(other), value) is not None,
    }[name]()


def decide(of: Any, env: dict[str, Any], decided_by: bool) -> bool | None:
    unknown = False
    for condition in of:
        value = interpret(condition, env)
        if value is decided_by:
            return decided_by
        unknown |= value is None
    return None if unknown else not decided_by


# Ops: (input expression, the whole mapping, names in scope) -> value


def op_coalesce(of: Any, _: Any, env: dict[str, Any]) -> Any:
    return next((v for e in of if (v := interpret(e, env)) is not None), None)


def op_if(of: Any, args: Any, env: dict[str, Any]) -> Any:
    if interpret(of, env) is True:
        return interpret(args["then"], env)
    return interpret(args["else"], env) if "else" in args else None


def op_pick(of: Any, args: Any, env: dict[str, Any]) -> Any:
    index = interpret(args["by"], env)
    written = isinstance(of, list) and not any(isinstance(e, dict) and "spread" in e for e in of)
    values = of if written else interpret(of, env)
    if index is None or values is None:
        return None
    if not 0 <= int(index) < len(values):
        raise Failure("TSR-R005")
    return interpret(values[int(index)], env) if written else values[int(index)]


def op_map(of: Any, args: Any, env: dict[str, Any]) -> Any:
    def one(value: Any) -> Any:
        for key, target in args["to"].items():
            if key == value:
                return target
        otherwise = args.get("otherwise", "error")
        if otherwise == "error":
            raise Failure("TSR-R001")
        return value if otherwise == "keep" else otherwise

    return lift(one, interpret(of, env))


def op_format(of: str, args: Any, env: dict[str, Any]) -> Any:
    let = args.get("let", {})
    for _ in let:  # enough rounds for names that use each other
        env = {**env, **{n: interpret(e, env) for n, e in let.items() if _resolvable(e, env)}}
    pieces = re.split(r"(\{\{|\}\}|\{[^{}]*\})", of)
    values = [p[0] if p in ("{{", "}}") else path(p[1:-1], env) if p.startswith("{") else p for p in pieces]
    return None if None in values else "".join(shortest(v) if not isinstance(v, str) else v for v in values)


def _resolvable(expr: Any, env: dict[str, Any]) -> bool:
    try:
        interpret(expr, env)
    except KeyError:
        return False
    return True


def op_join(of: Any, args: Any, env: dict[str, Any]) -> Any:
    values = interpret(of, env)
    if values is None:
        return None
    if args.get("skip_blank"):
        values = [v for v in values if not blank(v)]
    return None if None in values else args.get("sep", "").join(values)


def op_sections(of: Any, _: Any, env: dict[str, Any]) -> Any:
    parts = [(title, interpret(e, env)) for title, e in of.items()]
    return "\n".join(f"{title}: {text}" for title, text in parts if not blank(text)) or None


def op_split(of: Any, args: Any, env: dict[str, Any]) -> Any:
    sep, most = args.get("sep"), args.get("max", -1)

    def one(text: str) -> list[str]:
        text = text.strip() if sep is None else text
        return text.rsplit(sep, most) if args.get("last") else text.split(sep, most)

    return lift(one, interpret(of, env))


def op_slice(of: Any, args: Any, env: dict[str, Any]) -> Any:
    value = interpret(of, env)
    bounds = [interpret(args[k], env) if k in args else None for k in ("from", "to")]
    return None if value is None else value[bounds[0] : bounds[1]]


def op_case(of: Any, args: Any, env: dict[str, Any]) -> Any:
    def one(text: str) -> str:
        if args["to"] == "capitalized":
            return text[:1].upper() + text[1:]
        return {"lower": text.lower, "upper": text.upper, "title": text.title}[args["to"]]()

    return lift(one, interpret(of, env))


def op_replace(of: Any, args: Any, env: dict[str, Any]) -> Any:
    def one(text: str) -> str:
        for old, new in args["pairs"].items():
            text = text.replace(old, new)
        return text

    return lift(one, interpret(of, env))


def op_regex(of: Any, args: Any, env: dict[str, Any]) -> Any:
    def one(text: str) -> str | None:
        found = re.search(engine(args["pattern"]), text)
        return None if found is None else found[found.re.groups if args.get("group", 1) else 0]

    return lift(one, interpret(of, env))


def op_each(of: Any, args: Any, env: dict[str, Any]) -> Any:
    values = interpret(of, env)
    if values is None:
        return None
    out = []
    for i, value in enumerate(values):
        inner = {
            **env,
            **({args["as"]: value} if "as" in args else {}),
            **({args["index"]: i} if "index" in args else {}),
        }
        if "where" not in args or interpret(args["where"], inner) is True:
            out.append(interpret(args["get"], inner) if "get" in args else value)
    return out


def op_zip(of: Any, _: Any, env: dict[str, Any]) -> Any:
    lists = {n: interpret(e, env) for n, e in of.items()} if isinstance(of, dict) else interpret(of, env)
    if isinstance(lists, list) or lists is None:
        return lists
    if None in lists.values():
        return None
    if len({len(v) for v in lists.values()}) > 1:
        raise Failure("TSR-R005")
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def op_distinct(of: Any, _: Any, env: dict[str, Any]) -> Any:
    values = interpret(of, env)
    return None if values is None else list(dict.fromkeys(values))


def op_entries(of: Any, _: Any, env: dict[str, Any]) -> Any:
    value = interpret(of, env)
    return None if value is None else [{"key": k, "value": v} for k, v in value.items() if v is not None]


def op_position_of(of: Any, args: Any, env: dict[str, Any]) -> Any:
    value, values = interpret(of, env), interpret(args["in"], env)
    if value is None:
        return None
    fold = str.lower if args.get("ignore_case") else lambda v: v
    found = [i for i, v in enumerate(values or []) if v is not None and fold(v) == fold(value)]
    return found[0] if found else args.get("otherwise")


def op_positions_of(of: Any, args: Any, env: dict[str, Any]) -> Any:
    wanted, values = interpret(of, env), interpret(args["in"], env)
    if wanted is None or values is None:
        return None
    wanted = wanted if isinstance(wanted, list) else [wanted]
    return [i for i, v in enumerate(values) if v is not None and v in wanted]


def op_argmax(of: Any, _: Any, env: dict[str, Any]) -> Any:
    values = interpret(of, env)
    if not values or None in values or values.count(max(values)) > 1:
        return None
    names = list(of["votes"]) if isinstance(of, dict) and "votes" in of else range(len(values))
    return names[values.index(max(values))]


def op_votes(of: Any, _: Any, env: dict[str, Any]) -> Any:
    counts = [interpret(e, env) for e in of.values()]
    if None in counts or min(counts) < 0 or not sum(counts):
        return None
    return [float(np.float32(c / sum(counts))) for c in counts]


def op_nearest_levels(of: Any, args: Any, env: dict[str, Any]) -> Any:
    x, levels = interpret(of, env), args["levels"]
    if x is None or not levels[0] <= x <= levels[-1]:
        return None
    low = max(i for i in range(len(levels) - 1) if levels[i] <= x)
    share = (x - levels[low]) / (levels[low + 1] - levels[low])
    weights = {low: 1 - share, low + 1: share}
    return [float(np.float32(weights.get(i, 0.0))) for i in range(len(levels))]


def op_bin(of: Any, args: Any, env: dict[str, Any]) -> Any:
    x = interpret(of, env)
    return None if x is None else args["labels"][sum(edge <= x for edge in args["edges"])]


def op_flags(of: Any, _: Any, env: dict[str, Any]) -> Any:
    flags = {n: interpret(e, env) for n, e in of.items()}
    if None in flags.values():
        return None
    if not set(flags.values()) <= {0, 1}:
        raise Failure("TSR-R003")
    return [n for n, flag in flags.items() if flag]


def op_cast(of: Any, args: Any, env: dict[str, Any]) -> Any:
    to = args["to"]

    def one(value: Any) -> Any:
        if to == "string":
            return value if isinstance(value, str) else shortest(value)
        if isinstance(value, str):
            pattern = {"bool": r"(?i:true|false)|[01]", "int64": r"[+-]?[0-9]{1,18}", "int32": r"[+-]?[0-9]{1,18}"}
            number = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
            if not re.fullmatch(pattern.get(to, number), value) or value in ("tRUE", "fALSE"):
                raise Failure("TSR-R003")
            value = value.lower() in ("true", "1") if to == "bool" else float(value)
        if to == "bool":
            if value not in (0, 1):
                raise Failure("TSR-R003")
            return bool(value)
        if to.startswith("float"):
            return float(value)
        if value != int(value) or not -(2 ** (int(to[3:]) - 1)) <= value < 2 ** (int(to[3:]) - 1):
            raise Failure("TSR-R003")
        return int(value)

    return lift(one, interpret(of, env))


def arithmetic(function: Any) -> Any:
    def op(of: Any, _: Any, env: dict[str, Any]) -> Any:
        values = [interpret(e, env) for e in of]
        return None if None in values else function(values)

    return op


def op_messages(of: Any, args: Any, env: dict[str, Any]) -> Any:
    value, roles = interpret(of, env), args.get("roles")
    if value is None:
        return None
    if isinstance(value, str):
        return [{"role": args.get("role", "user"), "content": value}]
    out = []
    for i, turn in enumerate(value):
        if isinstance(turn, dict) or isinstance(roles, dict):
            turn = turn or {}
            role, content = turn.get(args.get("role", "role")), turn.get(args.get("content", "content"))
            if roles and role is not None and role not in roles:
                raise Failure("TSR-R001")
            out.append({"role": roles.get(role) if roles else role, "content": content})
        else:
            cycle = roles or ["user", "assistant"]
            out.append({"role": cycle[i % len(cycle)], "content": turn})
    return out


def op_unmark(of: Any, args: Any, env: dict[str, Any]) -> Any:
    text = interpret(of, env)
    if text is None:
        return None
    role = {m: (label, kind) for label, pair in args["marks"].items() for kind, m in enumerate(pair)}
    clean, open_at, spans = "", {}, []
    order = list(args["marks"])
    for piece in re.split("(" + "|".join(re.escape(m) for m in sorted(role, key=len, reverse=True)) + ")", text):
        label, kind = role.get(piece, (None, None))
        if label is None:
            clean += piece
        elif (kind == 0) == (label in open_at):
            raise Failure("TSR-R004")
        elif kind == 0:
            open_at[label] = len(clean)
        else:
            spans.append({"start": open_at.pop(label), "end": len(clean), "label": label})
    if open_at:
        raise Failure("TSR-R004")
    spans.sort(key=lambda s: (s["start"], s["end"], order.index(s["label"])))
    return {"text": clean, "spans": spans}


def bounds(tokens: list[str], sep: str) -> list[tuple[int, int]]:
    out, at = [], 0
    for token in tokens:
        out.append((at, at + len(token)))
        at += len(token) + len(sep)
    return out


def op_token_spans(of: Any, args: Any, env: dict[str, Any]) -> Any:
    tokens = interpret(of, env)
    if tokens is None or None in tokens:
        return None
    return [{"start": a, "end": b} for a, b in bounds(tokens, args.get("sep", " "))]


def op_bio_to_spans(of: Any, args: Any, env: dict[str, Any]) -> Any:
    tags, tokens = interpret(of, env), interpret(args["in"], env) if "in" in args else []
    if tags is None or tokens is None:
        return None
    if "in" in args and len(tags) != len(tokens):
        raise Failure("TSR-R005")
    if None in tokens:
        return None
    places = bounds(tokens, args.get("sep", " ")) if "in" in args else [(i, i + 1) for i in range(len(tags))]
    scheme, out, before = args.get("scheme", "BIO"), [], ("O", "O")
    for tag, (start, end) in zip(tags, places, strict=True):
        if tag is None or tag == "O":
            before = ("O", "O")
            continue
        prefix, label = (tag[0], tag[2:]) if re.match("[BIESLU]-", tag) else ("I", tag)
        opens = scheme != "IO" and (prefix in "BSU" or before[0] in "ESLU")
        if out and before[0] != "O" and before[1] == label and not opens:
            out[-1]["end"] = end
        else:
            out.append({"start": start, "end": end, "label": label})
        before = (prefix, label)
    return out


def op_spans_to_bio(of: Any, args: Any, env: dict[str, Any]) -> Any:
    spans, tokens = interpret(of, env), interpret(args["in"], env)
    if spans is None or tokens is None or None in tokens:
        return None
    whole = [s for s in spans if s and None not in s.values() and s["start"] >= 0 and s["start"] < s["end"]]
    whole.sort(key=lambda s: (s["start"], -s["end"]))
    owners = [
        next((i for i, s in enumerate(whole) if s["start"] < b and a < s["end"]), None)
        for a, b in bounds(tokens, args.get("sep", " "))
    ]
    scheme, out = args.get("scheme", "BIO"), []
    for i, owner in enumerate(owners):
        first, last = i == 0 or owners[i - 1] != owner, i + 1 == len(owners) or owners[i + 1] != owner
        prefix = {"BIO": "B" if first else "I", "IO": "I"}.get(
            scheme, "S" if first and last else "B" if first else "E" if last else "I"
        )
        out.append("O" if owner is None else f"{prefix}-{whole[owner]['label']}")
    return out


def op_mark(of: Any, args: Any, env: dict[str, Any]) -> Any:
    spans, text = interpret(of, env), interpret(args["in"], env)
    if spans is None or text is None or any(s is None or None in s.values() for s in spans):
        return None
    marks = args.get("marks") or {s["label"]: (f"[{s['label']}]", f"[/{s['label']}]") for s in spans}
    if any(s["label"] not in marks for s in spans):
        raise Failure("TSR-R001")
    if not all(0 <= s["start"] < s["end"] <= len(text) for s in spans):
        raise Failure("TSR-R005")
    out = ""
    for i in range(len(text) + 1):
        closing = sorted((-s["start"], -n) for n, s in enumerate(spans) if s["end"] == i)
        opening = sorted((-s["end"], n) for n, s in enumerate(spans) if s["start"] == i)
        out += "".join(marks[spans[-n]["label"]][1] for _, n in closing)
        out += "".join(marks[spans[n]["label"]][0] for _, n in opening) + text[i : i + 1]
    return out


def side(value: Any, fold: bool) -> list[tuple[str, int]] | None:
    """The characters that are no white space, each with the number of its unit; None where something is null."""
    if value is None or (isinstance(value, list) and None in value):
        return None
    return [(c.lower() if fold else c, n) for n, unit in enumerate(value) for c in unit if not c.isspace()]


def op_realign(of: Any, args: Any, env: dict[str, Any]) -> Any:
    spans, within = interpret(of, env), interpret(args["within"], env)
    one, two = side(within, "ignore_case" in args), side(interpret(args["in"], env), "ignore_case" in args)
    if spans is None or one is None or two is None:
        return None
    if [c for c, _ in one] != [c for c, _ in two]:
        raise Failure("TSR-R003")
    out = []
    for span in spans:
        if span is None or None in (span["start"], span.get("end", 0)):
            out.append(span and {k: None if k in ("start", "end") else v for k, v in span.items()})
            continue
        if span["start"] < 0 or span.get("end", 0) > len(within):
            raise Failure("TSR-R005")
        held = [u for (_, n), (_, u) in zip(one, two, strict=True) if span["start"] <= n < span.get("end", len(within))]
        if not held or ("end" not in span and span["start"] >= len(within)):
            raise Failure("TSR-R005")
        out.append({**span, "start": held[0], **({"end": held[-1] + 1} if "end" in span else {})})
    return out


def op_table(of: Any, args: Any, env: dict[str, Any]) -> Any:
    rows = interpret(of, env)
    if rows is None:
        return None
    header, records = args.get("header"), next((r for r in rows if isinstance(r, dict)), None)
    if records is not None:
        header = header or list(records)
        rows = [list(r.values()) if r else [] for r in rows]
    rows = [*([header] if header else []), *(r or [] for r in rows)]
    if not rows:
        return ""
    if any(len(r) > len(rows[0]) for r in rows):
        raise Failure("TSR-R005")
    lines = []
    for row in rows:
        cells = [cell(v) for v in row] + [""] * (len(rows[0]) - len(row))
        lines.append("| " + " | ".join(cells) + " |")
    rule = "| " + " | ".join(["---"] * len(rows[0])) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])


def cell(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else shortest(value)
    return re.sub("\r\n|[\n\r\v\f\x85\u2028\u2029]", " ", text).replace("|", "\\|")


def op_parse_json(of: Any, args: Any, env: dict[str, Any]) -> Any:
    text = interpret(of, env)
    if text is None:
        return None
    try:
        value = json.loads(text, parse_constant=lambda name: 1 / 0)
    except (ValueError, ZeroDivisionError):
        raise Failure("TSR-R004") from None
    fits = {
        "string": lambda v: v is None or isinstance(v, str),
        "int64": lambda v: v is None or (isinstance(v, int | float) and not isinstance(v, bool) and v == int(v)),
        "list<int64>": lambda v: v is None or (isinstance(v, list) and all(map(fits["int64"], v))),
    }
    if not fits[args["type"]](value):
        raise Failure("TSR-R004")
    return value


OPS: dict[str, Any] = {
    "const": lambda of, a, env: of,
    "path": lambda of, a, env: path(of, env),
    "coalesce": op_coalesce,
    "if": op_if,
    "pick": op_pick,
    "map": op_map,
    "format": op_format,
    "join": op_join,
    "sections": op_sections,
    "split": op_split,
    "slice": op_slice,
    "strip": lambda of, a, env: lift(lambda t: t.strip(a.get("chars")), interpret(of, env)),
    "squeeze": lambda of, a, env: lift(lambda t: " ".join(t.split()), interpret(of, env)),
    "case": op_case,
    "replace": op_replace,
    "regex": op_regex,
    "regex_replace": lambda of, a, env: lift(
        lambda t: re.sub(engine(a["pattern"]), a["with"].replace(r"\0", r"\g<0>"), t), interpret(of, env)
    ),
    "find_all": lambda of, a, env: lift(lambda t: re.findall(a["pattern"], t), interpret(of, env)),
    "unescape": lambda of, a, env: lift(html.unescape, interpret(of, env)),
    "repair": lambda of, a, env: lift(ftfy.fix_encoding, interpret(of, env)),
    "to_json": lambda of, a, env: (
        None if (v := interpret(of, env)) is None else json.dumps(v, ensure_ascii=False, separators=(",", ":"))
    ),
    "each": op_each,
    "zip": op_zip,
    "record": lambda of, a, env: {n: interpret(e, env) for n, e in of.items()},
    "flatten": lambda of, a, env: (
        None if (v := interpret(of, env)) is None else [x for inner in v for x in inner or []]
    ),
    "distinct": op_distinct,
    "length": lambda of, a, env: None if (v := interpret(of, env)) is None else len(v),
    "entries": op_entries,
    "position_of": op_position_of,
    "positions_of": op_positions_of,
    "argmax": op_argmax,
    "votes": op_votes,
    "nearest_levels": op_nearest_levels,
    "bin": op_bin,
    "flags": op_flags,
    "cast": op_cast,
    "scale": lambda of, a, env: lift(lambda x: x * a.get("times", 1) + a.get("plus", 0), interpret(of, env)),
    "abs": lambda of, a, env: lift(abs, interpret(of, env)),
    "round": lambda of, a, env: lift(
        lambda x: x if isinstance(x, int) else float(np.copysign(np.floor(abs(x) + 0.5), x)), interpret(of, env)
    ),
    "add": arithmetic(sum),
    "subtract": arithmetic(lambda values: values[0] - sum(values[1:])),
    "messages": op_messages,
    "unmark": op_unmark,
    "token_spans": op_token_spans,
    "bio_to_spans": op_bio_to_spans,
    "spans_to_bio": op_spans_to_bio,
    "mark": op_mark,
    "realign": op_realign,
    "table": op_table,
    "parse_json": op_parse_json,
    "all": lambda of, a, env: decide(of, env, False),
    "any": lambda of, a, env: decide(of, env, True),
    "not": lambda of, a, env: None if (v := interpret(of, env)) is None else not v,
}
