"""Random well-typed expressions and rows, for the property tests of the ops."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

TURN = pa.struct([pa.field("k", pa.string()), pa.field("v", pa.int64())])
SCHEMA = pa.schema(
    {
        "t": pa.string(),
        "u": pa.string(),
        "i": pa.int64(),
        "j": pa.int32(),
        "f": pa.float64(),
        "b": pa.bool_(),
        "lt": pa.list_(pa.string()),
        "li": pa.list_(pa.int64()),
        "ll": pa.list_(pa.list_(pa.string())),
        "r": TURN,
        "lr": pa.list_(TURN),
        "two": pa.struct([pa.field("p", pa.list_(pa.string())), pa.field("q", pa.list_(pa.int64()))]),
        "m": pa.map_(pa.string(), pa.int64()),
    }
)
WORDS = ["", " ", "a", "b", "ab a", "12", "-3", "+7", "1.5", "true", "é\u0301", "😀b", "a\0b", "&lt;b&amp;", "B-x",
         "I-x", "O", "<a>b</a>", "<a>", "[1,2]", '"s"', "a\u00a0\u3000b", "\x1ca"]  # fmt: skip
PATTERNS = ["a|b", "(a)b", "[0-9]+", "(?:a|é)+", "(b|a1)", "^a", "b$", r"\.", "x"]


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, values, values, st.none())


texts = st.one_of(st.sampled_from(WORDS), st.text(alphabet=" ab1é\u0301😀\0\n-.&;<", max_size=6))
integers = st.integers(-4, 4)
records = st.builds(lambda k, v: {"k": k, "v": v}, maybe(texts), maybe(integers))


def lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(maybe(values), max_size=3)


rows = st.fixed_dictionaries(
    {
        "t": maybe(texts),
        "u": maybe(texts),
        "i": maybe(integers),
        "j": maybe(integers),
        "f": maybe(integers.map(lambda n: n / 2)),
        "b": maybe(st.booleans()),
        "lt": maybe(lists(texts)),
        "li": maybe(lists(integers)),
        "ll": maybe(lists(lists(texts))),
        "r": maybe(records),
        "lr": maybe(lists(records)),
        "two": maybe(st.fixed_dictionaries({"p": maybe(lists(texts)), "q": maybe(lists(integers))})),
        "m": maybe(st.dictionaries(st.sampled_from("xyz"), maybe(integers), max_size=2)),
    }
)

COLUMNS = {
    "text": ["t", "u", "r.k", "lt.0", "lt.-1", "ll.0.1", "lr.1.k"],
    "int": ["i", "j", "r.v", "li.0", "lr.-2.v", "m.x"],
    "float": ["f"],
    "bool": ["b"],
    "texts": ["lt", "lr.k", "lr.*.k", "ll.1", "two.p"],
    "ints": ["li", "lr.v", "two.q"],
    "lists": ["ll"],
    "record": ["r", "lr.0"],
    "records": ["lr"],
}
ITEMS = {"texts": "text", "ints": "int", "records": "record", "lists": "texts"}
Names = dict[str, list[str]]  # kind -> variables in scope


@st.composite
def expressions(draw: st.DrawFn, kind: str, depth: int, names: Names | None = None) -> Any:
    """An expression of a kind, as plain YAML; `names` are the variables in scope by kind."""
    names = names or {}

    def sub(inner: str, **more: str) -> Any:
        scope = {k: list(v) for k, v in names.items()}
        for name, of in more.items():
            scope.setdefault(of, []).append(name)
        return draw(expressions(inner, depth - 1, scope))

    def one(*options: Any) -> Any:
        return draw(st.sampled_from(options))

    def leaf() -> Any:
        options: list[Any] = names.get(kind, []) * 4 + COLUMNS[kind]
        if kind in ("text", "int"):
            options += [f"{name}.{'k' if kind == 'text' else 'v'}" for name in names.get("record", [])]
        if kind == "text":
            options = [*options, {"const": draw(texts)}]
        if kind in ("int", "float"):
            options = [*options, draw(integers) / (1 if kind == "int" else 2)]
            options[-1] = int(options[-1]) if kind == "int" else options[-1]
        if kind == "texts":
            options = [*options, {"const": draw(st.lists(texts, min_size=1, max_size=3))}]
        return draw(st.sampled_from(options))

    if depth <= 0 or draw(st.integers(0, 5)) == 0:
        return leaf()
    any_kind = [
        lambda: {"coalesce": [sub(kind), sub(kind)]},
        lambda: {"if": sub("bool"), "then": sub(kind), **({"else": sub(kind)} if draw(st.booleans()) else {})},
        lambda: {"pick": [sub(kind), sub(kind)], "by": sub(one("int", "bool"))},
    ]
    if kind in ITEMS.values():
        above = next(k for k, v in ITEMS.items() if v == kind)
        any_kind.append(lambda: {"pick": sub(above), "by": sub("int")})
    return draw(st.sampled_from([*any_kind, *_OPTIONS[kind](draw, sub, one, depth)]))()


def _each(draw: Any, sub: Any, one: Any, depth: int, result: str) -> Any:
    of = one("texts", "ints", "records")
    x, n = f"x{depth}", f"n{depth}"
    where = {"where": sub("bool", **{x: ITEMS[of], n: "int"})} if draw(st.booleans()) else {}
    return {"each": sub(of), "as": x, "index": n, **where, "get": sub(ITEMS[result], **{x: ITEMS[of], n: "int"})}


def _condition(draw: Any, sub: Any, one: Any) -> Any:
    kind = one("text", "int", "texts", "ints", "float")
    number = {one("equals", "differs", "above", "at_least", "below", "at_most"): draw(integers)}
    text = st.sampled_from(
        [{"equals": "a"}, {"differs": "b"}, {"in": ["a", "b", ""]}, {"contains": "a"}, {"starts_with": "a"},
         {"above": "a"}, {"matches": draw(st.sampled_from(PATTERNS))}, {"is_blank": True}, {"is_blank": False},
         {"length": number}]
    )  # fmt: skip
    if kind == "text":
        other = {one("equals", "contains", "starts_with", "differs", "at_most"): {"path": one("t", "u", "lt.0")}}
        uses = one(draw(text), {"not": draw(text)}, other, {"is_null": True}, {**draw(text), "length": {"below": 3}})
    elif kind in ("int", "float"):
        uses = one(number, {"not": number}, {"in": [0, 1]}, {"above": {"path": "i"}}, {"is_null": False})
    else:
        item = draw(text) if kind == "texts" else number
        value = "a" if kind == "texts" else 1
        uses = one(
            {"every": item}, {"some": item}, {"has": value}, {"length": number}, {"all_different": draw(st.booleans())},
            {"is_blank": True}, {"equals": [value]}, {"has": {"path": "t" if kind == "texts" else "i"}},
        )  # fmt: skip
    return {"of": sub(kind), **uses}


_OPTIONS: dict[str, Any] = {
    "text": lambda draw, sub, one, depth: [
        lambda: {"format": "{{{t}}}:{a} {k}", "let": {"a": sub("text"), "k": {"join": ["a", "u"], "sep": "+"}}},
        lambda: {"format": "{a}/{c}", "let": {"a": sub("int"), "c": sub("float")}},
        lambda: {"join": sub("texts"), "sep": one("", ", "), "skip_blank": draw(st.booleans())},
        lambda: {"join": [sub("text"), {"spread": sub("texts")}], "skip_blank": True},
        lambda: {"join": [sub("text"), sub("text")], "sep": "-", "skip_blank": draw(st.booleans())},
        lambda: {"sections": {"T": sub("text"), "U": sub("text")}},
        lambda: {"slice": sub("text"), "from": sub("int"), "to": sub("int")},
        lambda: {"strip": sub("text"), **one({}, {"chars": " a"})},
        lambda: {"squeeze": sub("text")},
        lambda: {"case": sub("text"), "to": one("lower", "upper", "capitalized")},
        lambda: {"replace": sub("text"), "pairs": {"a": "b", "b": "cc"}},
        lambda: {"regex": sub("text"), "pattern": one(*PATTERNS), **one({}, {"group": 0})},
        lambda: {"regex_replace": sub("text"), "pattern": one(*PATTERNS), "with": r"<\0>"},
        lambda: {one("unescape", "repair"): sub("text")},
        lambda: {"to_json": sub(one("text", "int", "bool", "texts", "ints", "record", "records", "lists"))},
        lambda: {"cast": sub(one("int", "float", "bool", "text")), "to": "string"},
        lambda: {"map": sub("text"), "to": {"a": "b", "": "x"}, **one({}, {"otherwise": "keep"}, {"otherwise": None})},
        lambda: {"map": sub("int"), "to": {0: "zero", 1: "one"}, "otherwise": "many"},
        lambda: {"map": sub("bool"), "to": {True: "yes it is", False: "it is not"}},
        lambda: {"bin": sub(one("int", "float")), "edges": [-1, 0.5], "labels": ["low", None, "high"]},
        lambda: {"argmax": {"votes": {"p": sub("int"), "q": sub("float"), "z": 1}}},
        lambda: {"parse_json": sub("text"), "type": "string"},
    ],
    "int": lambda draw, sub, one, depth: [
        lambda: {"length": sub(one("text", "texts", "ints", "lists", "records"))},
        lambda: {"position_of": sub("text"), "in": sub("texts"), "ignore_case": draw(st.booleans())},
        lambda: {"position_of": sub("int"), "in": sub("ints"), "otherwise": -1},
        lambda: {"argmax": [sub("int"), sub("int")]},
        lambda: {"argmax": sub("ints")},
        lambda: {"cast": sub(one("text", "float", "bool")), "to": one("int64", "int32")},
        lambda: {one("add", "subtract"): [sub("int"), sub("int"), 1]},
        lambda: {"scale": sub("int"), "times": 2, "plus": -1},
        lambda: {one("abs", "round"): sub("int")},
        lambda: {"parse_json": sub("text"), "type": "int64"},
    ],
    "float": lambda draw, sub, one, depth: [
        lambda: {"cast": sub("int"), "to": "float64"},
        lambda: {"scale": sub("int"), "times": 0.5},
        lambda: {one("abs", "round"): sub("float")},
        lambda: {one("add", "subtract"): [sub("float"), sub("int")]},
    ],
    "bool": lambda draw, sub, one, depth: [
        *[lambda: _condition(draw, sub, one)] * 4,
        lambda: {one("all", "any"): [sub("bool"), sub("bool")]},
        lambda: {"not": sub("bool")},
        lambda: {"cast": sub(one("int", "text")), "to": "bool"},
    ],
    "texts": lambda draw, sub, one, depth: [
        *[lambda: _each(draw, sub, one, depth, "texts")] * 3,
        lambda: [sub("text"), sub("text")],
        lambda: [{"spread": sub("texts")}, sub("text")],
        lambda: {"split": sub("text"), **one({}, {"sep": "a"}, {"sep": " ", "max": 1, "last": True}, {"max": 1})},
        lambda: {"find_all": sub("text"), "pattern": one(*PATTERNS[:5])},
        lambda: {"flatten": sub("lists")},
        lambda: {"distinct": sub("texts")},
        lambda: {"slice": sub("texts"), "from": sub("int"), "to": sub("int")},
        lambda: {one("strip", "squeeze", "unescape"): sub("texts")},
        lambda: {"map": sub("texts"), "to": {"a": "b"}, **one({}, {"otherwise": "keep"}, {"otherwise": "no"})},
        lambda: {"flags": {"x": sub("int"), "y": sub("bool")}},
        lambda: {"cast": sub("ints"), "to": "string"},
    ],
    "ints": lambda draw, sub, one, depth: [
        *[lambda: _each(draw, sub, one, depth, "ints")] * 3,
        lambda: [sub("int"), sub("int")],
        lambda: {"positions_of": sub(one("text", "texts")), "in": sub("texts")},
        lambda: {"positions_of": sub("ints"), "in": sub("ints")},
        lambda: {"distinct": sub("ints")},
        lambda: {"cast": sub("texts"), "to": "int64"},
        lambda: {"scale": sub("ints"), "plus": 1},
        lambda: {"parse_json": sub("text"), "type": "list<int64>"},
    ],
    "lists": lambda draw, sub, one, depth: [
        *[lambda: _each(draw, sub, one, depth, "lists")] * 2,
        lambda: {"split": sub("texts")},
        lambda: [sub("texts"), sub("texts")],
        lambda: {"slice": sub("lists"), "to": sub("int")},
    ],
    "record": lambda draw, sub, one, depth: [lambda: {"record": {"k": sub("text"), "v": sub("int")}}],
    "records": lambda draw, sub, one, depth: [
        *[lambda: _each(draw, sub, one, depth, "records")] * 2,
        lambda: {"zip": {"k": sub("texts"), "v": sub("ints")}},
        lambda: {"zip": "lr"},
        lambda: [sub("record"), {"spread": sub("records")}],
        lambda: {"slice": sub("records"), "from": sub("int")},
    ],
}
STRUCTURE = [
    {"messages": "t"},
    {"messages": "lt", "roles": ["x", "y", "z"]},
    {"messages": "lr", "role": "k", "content": "k", "roles": {"a": "user", "b": "bot"}},
    {"unmark": {"join": "lt"}, "marks": {"A": ["<a>", "</a>"], "B": ["a", "b"]}},
    {"token_spans": "lt", "sep": "é"},
    {"bio_to_spans": "lt"},
    {"bio_to_spans": "lt", "in": "two.p", "scheme": "BIOES"},
    {"bio_to_spans": "two.p", "in": "two.p", "scheme": "IO", "sep": ""},
    *[{"spans_to_bio": "spans", "in": "lt", "scheme": scheme} for scheme in ("BIO", "BIOES", "IO")],
    {"mark": "spans", "in": "t"},
    {"mark": "spans", "in": {"join": "lt"}, "marks": {"x": ["<", ">"]}},
    {"mark": [{"record": {"start": 0, "end": "i", "label": {"const": "x"}}}], "in": "t"},
    {"realign": "spans", "within": "t", "in": {"squeeze": "t"}},
    {"realign": "spans", "within": "lt", "in": {"join": "lt", "sep": " "}},
    {"realign": "spans", "within": {"join": "lt", "sep": " "}, "in": "lt"},
    {"realign": "spans", "within": "t", "in": {"case": "t", "to": "upper"}, "ignore_case": True},
    {
        "realign": {"each": "spans", "as": "s", "get": {"record": {"start": "s.start"}}},
        "within": "t",
        "in": {"split": "t"},
    },
    {"table": "ll"},
    {"table": "lr", "header": ["a|b", "c"]},
    {"table": [["t", "u"], {"spread": "ll"}]},
    {"table": "ll", "header": ["x", "y"]},
    {"entries": {"record": {"p": "t", "q": "u"}}},
    {"entries": "m"},
    {"zip": "two"},
    {"nearest_levels": "f", "levels": [-1, 0, 0.5, 2]},
    {"votes": {"p": "i", "q": {"abs": "f"}}},
]
"""Ops whose values feed no other op of the generator, over the columns and `spans`."""
SPAN = pa.struct([pa.field("start", pa.int64()), pa.field("end", pa.int64()), pa.field("label", pa.string())])
spans = maybe(
    lists(
        st.fixed_dictionaries(
            {"start": maybe(st.integers(-1, 6)), "end": maybe(st.integers(0, 9)), "label": maybe(st.sampled_from("xy"))}
        )
    )
)


def show(expr: Any) -> str:
    """Plain YAML as a flow text; keys that are no text stay what they are."""
    if isinstance(expr, dict):
        keys = (json.dumps(k, ensure_ascii=False) if isinstance(k, str) else str(k).lower() for k in expr)
        return "{" + ", ".join(f"{k}: {show(v)}" for k, v in zip(keys, expr.values(), strict=True)) + "}"
    if isinstance(expr, list):
        return "[" + ", ".join(map(show, expr)) + "]"
    return json.dumps(expr, ensure_ascii=False)
