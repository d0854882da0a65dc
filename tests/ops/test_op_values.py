"""What each op gives for given rows. Every case also runs on sliced input, on single rows and on no rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from ops.evaluation import batch_of, evaluate, parse, run

from tasksource_reg.errors import FindingsError
from tasksource_reg.ops import OPS

F32 = [0.5, 0.5]
Case = tuple[str, dict[str, Any], list[Any]]
CASES: dict[str, list[Case]] = {
    "path": [
        ("a.b", {"a": [{"b": 1}, None, {"b": None}]}, [1, None, None]),
        ("l.0", {"l": [["x", "y"], [], None]}, ["x", None, None]),
        ("l.-1", {"l": [["x", "y"], [], None]}, ["y", None, None]),
        ("l.*.b", {"l": [[{"b": 1}, None], [], None]}, [[1, None], [], None]),
        ("l.b.0", {"l": [[{"b": [1, 2]}, {"b": []}]]}, [[1, None]]),
        ("{path: [a.b, c]}", {"a.b": [{"c": 1}]}, [1]),
        ("m.x", {"m": pa.array([[("x", 1)], [], None], pa.map_(pa.string(), pa.int64()))}, [1, None, None]),
        ("Premise 1", {"Premise 1": ["p"]}, ["p"]),
    ],
    "const": [
        ("{const: null}", {"a": [1, 2]}, [None, None]),
        ("{const: [1, null]}", {"a": [1]}, [[1, None]]),
        ("{const: {x: [a]}}", {"a": [1]}, [{"x": ["a"]}]),
        ("3", {"a": [1]}, [3]),
        ("true", {"a": [1]}, [True]),
        ("[]", {"a": [1]}, [[]]),
        ("[a, 2.5]", {"a": [1, None]}, [[1.0, 2.5], [None, 2.5]]),
    ],
    "spread": [
        ("[{spread: l}, a]", {"l": [["x"], None, []], "a": ["1", "2", None]}, [["x", "1"], ["2"], [None]]),
        ("[a, {spread: l}]", {"l": [[1], [2]], "a": pa.array([7, 8], pa.int8())}, [[7, 1], [8, 2]]),
    ],
    "coalesce": [
        ("{coalesce: [a, b]}", {"a": [None, 1, None], "b": [2, 3, None]}, [2, 1, None]),
        ("{coalesce: [a, {const: []}]}", {"a": [["x"], None]}, [["x"], []]),
        ("{coalesce: [a, 0.5]}", {"a": [1, 2]}, [1.0, 2.0]),  # the type does not hang on the rows
    ],
    "pick": [
        ("{pick: [a, b], by: i}", {"a": ["x", "y", "z"], "b": ["1", "2", "3"], "i": [0, 1, None]}, ["x", "2", None]),
        ("{pick: l, by: b}", {"l": [["x", "y"], ["u", "v"], None], "b": [True, False, True]}, ["y", "u", None]),
    ],
    "if": [
        ("{if: {of: a, above: 1}, then: b, else: {const: z}}", {"a": [2, 1, None], "b": ["x"] * 3}, ["x", "z", "z"]),
        ("{if: c, then: b}", {"c": [True, False, None], "b": [1, 1, 1]}, [1, None, None]),
        ("{if: c, then: 1, else: 0.5}", {"c": [True]}, [1.0]),
    ],
    "map": [
        ("{map: a, to: {x: 1}, otherwise: null}", {"a": ["x", "y", None]}, [1, None, None]),
        ("{map: a, to: {x: z}, otherwise: keep}", {"a": [["x", "y", None], None]}, [["z", "y", None], None]),
        ("{map: a, to: {1: one, 300: many}, otherwise: b}", {"a": pa.array([1, 2], pa.int8())}, ["one", "b"]),
        ("{map: a, to: {0: z, 0.1: t}}", {"a": pa.array([0.0, 0.1], pa.float32())}, ["z", "t"]),
        ("{map: a, to: {1.5: x}, otherwise: o}", {"a": [1, 2]}, ["o", "o"]),
        ("{map: a, to: {true: t, false: f}}", {"a": [True, False, None]}, ["t", "f", None]),
        ("{map: a, to: {x: null}, otherwise: keep}", {"a": ["x", "y"]}, [None, "y"]),
        ("{map: a, to: {x: [1, 2], z: []}}", {"a": ["x", "z", None]}, [[1, 2], [], None]),
        ("{map: a, to: {1: one}}", {"a": [None, None]}, [None, None]),
        ("{map: a, to: {0: z}}", {"a": pa.array([0, None], pa.uint64())}, ["z", None]),
    ],
    "format": [
        ('{format: "{a}-{i} {f} {b}"}', {"a": ["x", None], "i": [1, 2], "f": [1.0, 2.0], "b": [True, False]},
         ["x-1 1 true", None]),
        ('{format: "{{{a}}}"}', {"a": ["x"]}, ["{x}"]),
        ('{format: ""}', {"a": ["x", "y"]}, ["", ""]),
        ('{format: "{x}{z}", let: {x: {case: z, to: upper}, z: {slice: a, from: 1}}}', {"a": ["abc"]}, ["BCbc"]),
        ('{format: "{a}", let: {a: {strip: a}}}', {"a": [" x "]}, ["x"]),  # its own name means the outer one
        ('{format: "{self}", let: {self: a}}', {"a": ["x"]}, ["x"]),
        ('{format: "{l.0.k}"}', {"l": [[{"k": "v"}], []]}, ["v", None]),
    ],
    "join": [
        ('{join: l, sep: ", "}', {"l": [["a", "b"], [], None, ["a", None]]}, ["a, b", "", None, None]),
        ('{join: l, sep: "-", skip_blank: true}', {"l": [["a", None, " ", "b"], [None], None]}, ["a-b", "", None]),
        ('{join: [a, b], sep: "-", skip_blank: true}', {"a": [None, " ", "x"], "b": [None, "y", "z"]},
         ["", "y", "x-z"]),
        ("{join: [a, b]}", {"a": ["x", None], "b": ["y", "z"]}, ["xy", None]),
    ],
    "sections": [
        ("{sections: {T: a, U: b}}", {"a": ["x", " ", None], "b": ["y", "z", ""]}, ["T: x\nU: y", "U: z", None]),
    ],
    "split": [
        ("{split: a}", {"a": [" x \t y\n", "", None, "\u3000"]}, [["x", "y"], [], None, []]),
        ('{split: a, sep: ","}', {"a": ["x,,y", ""]}, [["x", "", "y"], [""]]),
        ('{split: a, sep: ",", max: 1, last: true}', {"a": ["x,y,z"]}, [["x,y", "z"]]),
        ("{split: a, max: 1}", {"a": [" x  y z "]}, [["x", "y z"]]),
        ("{split: a}", {"a": [["x y", None], []]}, [[["x", "y"], None], []]),
    ],
    "slice": [
        ("{slice: a, from: 1, to: -1}", {"a": ["😀é\u0301b", "", None, "a"]}, ["é\u0301", "", None, ""]),
        ("{slice: a, to: -1}", {"a": ["pé", "", None, "😀qr", "st"]}, ["p", "", None, "😀q", "s"]),
        ("{slice: a, from: i}", {"a": ["abc", "abc", "abc"], "i": [-2, 9, None]}, ["bc", "", "abc"]),
        ("{slice: l, to: i}", {"l": [[1, 2], [3], None], "i": [1, -5, 1]}, [[1], [], None]),
        ("{slice: a, from: 1}", {"a": [None, None]}, [None, None]),
    ],
    "strip": [
        ("{strip: a}", {"a": [" \u00a0x\u3000\n", None, ""]}, ["x", None, ""]),
        ('{strip: a, chars: "é."}', {"a": ["é.x.é"]}, ["x"]),
        ("{strip: a}", {"a": [[[" x"], None]]}, [[["x"], None]]),
    ],
    "squeeze": [
        ("{squeeze: a}", {"a": [" a\x1c\u2003 b\x85\x0bc ", "\x1c", None, "a\0 b"]}, ["a b c", "", None, "a\0 b"])
    ],
    "case": [
        ("{case: a, to: capitalized}", {"a": ["éa B", "", None, "😀x"]}, ["Éa B", "", None, "😀x"]),
        ("{case: a, to: upper}", {"a": [["aß", None]]}, [["Aẞ", None]]),
        ("{case: a, to: lower}", {"a": ["İÀ"]}, ["i" + "à"]),
        ("{case: a, to: title}", {"a": ["two words"]}, ["Two Words"]),
    ],
    "replace": [
        ('{replace: a, pairs: {x: "y", "y": "zz"}}', {"a": ["xy.", None]}, ["zzzz.", None]),
        ('{replace: a, pairs: {".": ""}}', {"a": ["1.000", ["."][0]]}, ["1000", ""]),
    ],
    "regex": [
        ('{regex: a, pattern: "(\\\\d+)€"}', {"a": ["a12€", "12", None]}, ["12", None, None]),
        ('{regex: a, pattern: "x(y)", group: 0}', {"a": ["axy"]}, ["xy"]),
        ('{regex: a, pattern: "[^](]+"}', {"a": ["](ab)"]}, ["ab)"]),
        ('{regex: a, pattern: "[[:alpha:](]+(1)"}', {"a": ["(ab1"]}, ["1"]),
        ('{regex: a, pattern: "x(y)?"}', {"a": ["x", "xy"]}, ["", "y"]),
    ],
    "regex_replace": [
        ('{regex_replace: a, pattern: "<<[^>]*>>", with: ""}', {"a": ["4<<2+2=4>>!", None]}, ["4!", None]),
        (r'{regex_replace: a, pattern: "(\\w)\\.", with: "<\\1\\0\\\\>"}', {"a": ["a."]}, ["<aa.\\>"]),
    ],
    "find_all": [
        ('{find_all: a, pattern: "[0-9]+"}', {"a": ["1 22", "", None, "x"]}, [["1", "22"], [], None, []]),
        ('{find_all: a, pattern: "(\\\\w)="}', {"a": ["a=b=\ue000="]}, [["a", "b"]]),  # a private-use character
        ('{find_all: a, pattern: "x(y?)"}', {"a": ["xxy"]}, [["", "y"]]),
        ('{find_all: a, pattern: "a.c"}', {"a": ["a\0c"]}, [["a\0c"]]),
    ],
    "unescape": [
        ("{unescape: a}", {"a": ["&amp;lt; &#233;&#xe9; &nope; &notit; &#99999999999999999999;", None]},
         ["&lt; éé &nope; ¬it; \ufffd", None]),
        ("{unescape: a}", {"a": ["&#" + "1" * 5000 + ";"]}, ["&#" + "1" * 5000 + ";"]),
    ],
    "repair": [
        ("{repair: a}", {"a": ["plain", "â‚¬6 for naÃ¯ve", "schön, 日本", "so\x85 yes", None, ""]},
         ["plain", "€6 for naïve", "schön, 日本", "so… yes", None, ""]),
        ("{repair: a}", {"a": [["dÃ©jÃ\xa0 vu", "b"], [], None]}, [["déjà vu", "b"], [], None]),
    ],
    "to_json": [
        ("{to_json: a}", {"a": [{"b": [1, None], "c": "é\""}, None]}, ['{"b":[1,null],"c":"é\\""}', None]),
        ("{to_json: a}", {"a": [float("nan"), 1.0]}, [None, "1.0"]),
        ("{to_json: m}", {"m": pa.array([[("x", 1)], []], pa.map_(pa.string(), pa.int64()))}, ['{"x":1}', "{}"]),
        ("{to_json: d}", {"d": pa.array([0], pa.date32())}, ['"1970-01-01"']),
    ],
    "each": [
        ('{each: l, as: x, index: k, get: {format: "{k}{x}{a}"}}', {"l": [["p", "q"], [], None], "a": ["!"] * 3},
         [["0p!", "1q!"], [], None]),
        ("{each: l, as: x, where: {of: x, above: 1}}", {"l": [[1, 2, None, 3], None]}, [[2, 3], None]),
        ("{each: l, as: x, index: k, where: {of: x, above: 1}, get: k}", {"l": [[1, 2, 3]]}, [[1, 2]]),
        ("{each: ll, as: x, get: {each: x, as: e, where: {of: e, has: {path: x.0.0}}, get: [e.0, x.0.0]}}",
         {"ll": [[[["a"], ["b", "a"], ["c"]]]]}, [[[["a", "a"], ["b", "a"]]]]),
        ("{each: l}", {"l": [[1], None]}, [[1], None]),
    ],
    "zip": [
        ("{zip: {p: a, q: b}}", {"a": [["x"], None, []], "b": [[1], [1], []]}, [[{"p": "x", "q": 1}], None, []]),
        ("{zip: r}", {"r": [{"p": ["x"], "q": [1]}, None, {"p": None, "q": [1]}]}, [[{"p": "x", "q": 1}], None, None]),
        ("{zip: r}", {"r": [[{"p": 1}], None]}, [[{"p": 1}], None]),
    ],
    "record": [("{record: {x: a, z: 1}}", {"a": ["p", None]}, [{"x": "p", "z": 1}, {"x": None, "z": 1}])],
    "flatten": [("{flatten: l}", {"l": [[["a"], None, ["b", None]], [], None]}, [["a", "b", None], [], None])],
    "distinct": [
        ("{distinct: l}", {"l": [["b", "a", "b", None, None], [], None]}, [["b", "a", None], [], None]),
        ("{distinct: l}", {"l": [[None, None], []]}, [[None], []]),
    ],
    "length": [
        ("{length: a}", {"a": ["😀é\u0301", "", None]}, [3, 0, None]),
        ("{length: l}", {"l": [[1, None], [], None]}, [2, 0, None]),
    ],
    "entries": [
        ("{entries: r}", {"r": [{"A": "x", "B": None}, None]}, [[{"key": "A", "value": "x"}], None]),
        ("{entries: m}", {"m": pa.array([[("k", 1), ("n", None)], None, []], pa.map_(pa.string(), pa.int64()))},
         [[{"key": "k", "value": 1}], None, []]),
    ],
    "position_of": [
        ("{each: l, as: e, get: {position_of: e, in: k}}",
         {"l": [["b", None, "é"], ["a"], None, ["q"]], "k": [["a", "b", "b", None], None, ["q"], ["b", "q"]]},
         [[1, None, None], [None], None, [1]]),
        ("{each: l, as: e, get: {position_of: e, in: k, ignore_case: true, otherwise: -1}}",
         {"l": [["É", "x"], ["A"]], "k": [["a", "é"], ["a", "A"]]}, [[1, -1], [0]]),
        ("{each: l, as: e, get: {position_of: e, in: k}}", {"l": [[1, 2], [0]], "k": [[2.5, 1.0], [-0.0]]},
         [[1, None], [0]]),
        ("{each: l, as: e, get: {position_of: e, in: k}}", {"l": [[True], []], "k": [[False, True], [True]]},
         [[1], []]),
        ("{position_of: a, in: l}", {"a": ["y", "z", None], "l": [["x", "y", "y"], ["x"], [None]]}, [1, None, None]),
        ("{position_of: a, in: l, otherwise: -1}", {"a": ["y", None], "l": [None, ["x"]]}, [-1, None]),
        ("{position_of: a, in: {const: [A, É]}, ignore_case: true}", {"a": ["é", "a"]}, [1, 0]),
        ("{position_of: 0.1, in: l}", {"l": pa.array([[0.5, 0.1]], pa.list_(pa.float32()))}, [1]),
    ],
    "positions_of": [
        ("{positions_of: 1, in: l}", {"l": [[1, 0, 1], [0], None]}, [[0, 2], [], None]),
        ("{positions_of: w, in: l}", {"w": [["b", "a"], None, []], "l": [["a", "b", None], ["a"], ["a"]]},
         [[0, 1], None, []]),
    ],
    "argmax": [
        ("{argmax: l}", {"l": [[1, 3], [2, 2], [], None, [None, 1]]}, [1, None, None, None, None]),
        ("{argmax: {votes: {p: a, q: b}}}", {"a": [1, 2, 0], "b": [2, 2, 0]}, ["q", None, None]),
        ("{argmax: l}", {"l": [[2**60, 2**60 - 4096], [float("-inf"), float("nan")]][:1]}, [0]),
    ],
    "flags": [
        ("{flags: {x: a, z: b}}", {"a": [1, 0, None], "b": [True, False, True]}, [["x", "z"], [], None]),
        ("{flags: [a, b]}", {"a": [0], "b": [1.0]}, [["b"]]),
    ],
    "votes": [
        ("{votes: {p: a, q: b}}", {"a": [1, 0, -1, None], "b": [1, 0, 1, 1]}, [F32, None, None, None]),
    ],
    "nearest_levels": [
        ("{nearest_levels: a, levels: [0, 1, 3]}", {"a": [0, 2, 3, 4, None]},
         [[1, 0, 0], [0, 0.5, 0.5], [0, 0, 1], None, None]),
    ],
    "bin": [
        ("{bin: a, edges: [0.5], labels: [low, high]}", {"a": [0.5, 0.4, None, float("nan")]},
         ["high", "low", None, None]),
    ],
    "cast": [
        ("{cast: a, to: int64}", {"a": ["12", "+7", "-0", None, "007"]}, [12, 7, 0, None, 7]),
        ("{cast: a, to: float64}", {"a": ["1e3", ".5", "5.", "-2"]}, [1000.0, 0.5, 5.0, -2.0]),
        ("{cast: a, to: bool}", {"a": ["true", "FALSE", "0", None]}, [True, False, False, None]),
        ("{cast: a, to: bool}", {"a": [0.0, 1.0]}, [False, True]),
        ("{cast: a, to: string}", {"a": [1.0, 2.5, None, 1e20]}, ["1", "2.5", None, "1e+20"]),
        ("{cast: a, to: string}", {"a": [[True, None], []]}, [["true", None], []]),
        ("{cast: a, to: int32}", {"a": [2.0, -3.0]}, [2, -3]),
        ("{cast: a, to: float64}", {"a": [2**53 + 1]}, [float(2**53)]),
        ("{cast: a, to: int64}", {"a": [2**53 + 1]}, [2**53 + 1]),
        ("{cast: a, to: int64}", {"a": [None]}, [None]),
    ],
    "scale": [
        ("{scale: a, times: 2, plus: 1}", {"a": [[1, None]]}, [[3, None]]),
        ("{scale: a, times: 0.5}", {"a": [1]}, [0.5]),
    ],
    "add": [
        ("{add: [a, b, 1]}", {"a": pa.array([100, None], pa.int8()), "b": [100, 1]}, [201, None]),
        ("{add: [a, 0.5]}", {"a": [1]}, [1.5]),
    ],
    "subtract": [("{subtract: [a, b, 1]}", {"a": pa.array([0], pa.uint8()), "b": [2]}, [-3])],
    "abs": [("{abs: a}", {"a": [-1.5, None]}, [1.5, None])],
    "round": [
        ("{round: a}", {"a": [0.5, -0.5, 1.4, None]}, [1.0, -1.0, 1.0, None]),
        ("{round: a, digits: -1}", {"a": [15, 14]}, [20, 10]),
    ],
    "messages": [
        ("{messages: a}", {"a": ["x", None]}, [[{"role": "user", "content": "x"}], None]),
        ("{messages: a, role: assistant}", {"a": ["x"]}, [[{"role": "assistant", "content": "x"}]]),
        ("{messages: l, roles: [system, user]}", {"l": [["x", "y", "z"], [], None]},
         [[{"role": "system", "content": "x"}, {"role": "user", "content": "y"}, {"role": "system", "content": "z"}],
          [], None]),
        ("{messages: l, role: from, content: value, roles: {human: user}}",
         {"l": [[{"from": "human", "value": "x"}, None]]},
         [[{"role": "user", "content": "x"}, {"role": None, "content": None}]]),
    ],
    "unmark": [
        ('{unmark: a, marks: {A: ["<a>", "</a>"], B: ["<b>", "</b>"]}}',
         {"a": ["é😀<a>x<b>y</a>z</b>", "p<a></a>", None]},
         [{"text": "é😀xyz", "spans": [{"start": 2, "end": 4, "label": "A"}, {"start": 3, "end": 5, "label": "B"}]},
          {"text": "p", "spans": [{"start": 1, "end": 1, "label": "A"}]}, None]),
        ('{unmark: a, marks: {A: ["*", "**"]}}', {"a": ["*x**", ""]},
         [{"text": "x", "spans": [{"start": 0, "end": 1, "label": "A"}]}, {"text": "", "spans": []}]),
    ],
    "mark": [
        ('{mark: s, in: t, marks: {A: ["<a>", "</a>"], B: ["<b>", "</b>"]}}',
         {"t": ["é😀xyz", "ab", "cd", None],
          "s": [[{"start": 3, "end": 5, "label": "B"}, {"start": 2, "end": 4, "label": "A"}],
                [{"start": 0, "end": 1, "label": "A"}, {"start": 1, "end": 2, "label": "A"}], [], []]},
         ["é😀<a>x<b>y</a>z</b>", "<a>a</a><a>b</a>", "cd", None]),
        ("{mark: s, in: t}",
         {"t": ["abc", "abc"],
          "s": [[{"start": 1, "end": 2, "label": "in"}, {"start": 1, "end": 3, "label": "out"}],
                [{"start": 0, "end": 1, "label": "x"}, {"start": None, "end": 2, "label": "x"}]]},
         ["a[out][in]b[/in]c[/out]", None]),
        ("{mark: s, in: t}", {"t": ["ab"], "s": [[{"start": 0, "end": 2, "label": x} for x in "pq"]]},
         ["[p][q]ab[/q][/p]"]),
        ("{mark: [{record: {start: i, end: {add: [i, 1]}, label: {const: T}}}], in: t}",
         {"t": ["pq", "rs"], "i": [1, 0]}, ["p[T]q[/T]", "[T]r[/T]s"]),
        ("{mark: [], in: t}", {"t": ["xaz", None]}, ["xaz", None]),
    ],
    "realign": [
        ("{realign: s, within: t, in: {squeeze: t}}",
         {"t": [" é  😀 b", "ab", None],
          "s": [[{"start": 1, "end": 5, "label": "x"}, {"start": 5, "end": 7, "label": "y"}], None, []]},
         [[{"start": 0, "end": 3, "label": "x"}, {"start": 4, "end": 5, "label": "y"}], None, None]),
        ("{realign: s, within: l, in: t}",
         {"l": [["It", "'s", "", "so"], ["a", None]], "t": ["It's so", "a"],
          "s": [[{"start": 1, "end": 2}, {"start": 1, "end": 4}, {"start": None, "end": 1}], []]},
         [[{"start": 2, "end": 4}, {"start": 2, "end": 7}, {"start": None, "end": None}], None]),
        ("{realign: s, within: t, in: l}",
         {"t": ["don't go"], "l": [["do", "n't", "go"]], "s": [[{"start": 1, "end": 3}]]}, [[{"start": 0, "end": 2}]]),
        ("{realign: s, within: t, in: u}", {"t": [" ab "], "u": ["a b"], "s": [[{"text": "b", "start": 2}]]},
         [[{"text": "b", "start": 2}]]),
        ("{realign: s, within: t, in: u, ignore_case: true}",
         {"t": ["İs Ok"], "u": ["is  oK"], "s": [[{"start": 0, "end": 4}]]}, [[{"start": 0, "end": 5}]]),
    ],
    "table": [
        ("{table: l}", {"l": [[["a", "b"], ["1|2", None], ["x\r\ny"]], [], None, [["h"]], [[], None]]},
         ["| a | b |\n| --- | --- |\n| 1\\|2 |  |\n| x y |  |", "", None, "| h |\n| --- |", "|  |\n|  |\n|  |"]),
        ("{table: r}", {"r": [[{"name": "Ann", "age": 3.0}, None], []]},
         ["| name | age |\n| --- | --- |\n| Ann | 3 |\n|  |  |", "| name | age |\n| --- | --- |"]),
        ("{table: l, header: [x, z]}", {"l": [[[1, 2], [3]], []]},
         ["| x | z |\n| --- | --- |\n| 1 | 2 |\n| 3 |  |", "| x | z |\n| --- | --- |"]),
        ("{table: [h, {spread: l}]}", {"h": [["p"], ["q"]], "l": [[["1"], ["2"]], None]},
         ["| p |\n| --- |\n| 1 |\n| 2 |", "| q |\n| --- |"]),
    ],
    "token_spans": [
        ("{token_spans: l}", {"l": [["😀é", "", "x"], [], None, [None]]},
         [[{"start": 0, "end": 2}, {"start": 3, "end": 3}, {"start": 4, "end": 5}], [], None, None]),
    ],
    "bio_to_spans": [
        ("{bio_to_spans: l, in: k}",
         {"l": [["B-x", "I-x", "O", "I-y", "I-z"], None], "k": [["a", "b", "c", "d", "é"], []]},
         [[{"start": 0, "end": 3, "label": "x"}, {"start": 6, "end": 7, "label": "y"},
           {"start": 8, "end": 9, "label": "z"}], None]),
        ("{bio_to_spans: l, scheme: BIOES}", {"l": [["S-x", "I-x", "E-x", "I-x"]]},
         [[{"start": 0, "end": 1, "label": "x"}, {"start": 1, "end": 3, "label": "x"},
           {"start": 3, "end": 4, "label": "x"}]]),
        ("{bio_to_spans: l, scheme: IO}", {"l": [["per", "per", None, "loc"], []]},
         [[{"start": 0, "end": 2, "label": "per"}, {"start": 3, "end": 4, "label": "loc"}], []]),
    ],
    "spans_to_bio": [
        ('{spans_to_bio: s, in: l, scheme: BIOES}',
         {"s": [[{"start": 0, "end": 4, "label": "x"}, {"start": 2, "end": 3, "label": "z"},
                 {"start": 5, "end": 6, "label": "y"}, {"start": None, "end": 9, "label": "n"}], None],
          "l": [["ab", "c", "d", "e"], ["a"]]},
         [["B-x", "E-x", "S-y", "O"], None]),
        ("{spans_to_bio: s, in: l, scheme: IO}",
         {"s": [[{"start": 1, "end": 3, "label": "late"}, {"start": 0, "end": 2, "label": "short"},
                 {"start": 0, "end": 4, "label": "long"}, {"start": 3, "end": 3, "label": "empty"}]],
          "l": [["a", "b", "c"]]}, [["I-long", "I-long", "O"]]),
        ("{spans_to_bio: s, in: l}", {"s": [[], []], "l": [["a", "b"], []]}, [["O", "O"], []]),
    ],
    "parse_list": [
        ("{parse_list: a}", {"a": ["['a', \"b\\'\", None,]", "[]", None, '["\\ud83d\\ude00\\n"]']},
         [["a", "b'", None], [], None, ["😀\n"]]),
        ("{parse_list: a, type: int64}", {"a": ["[1, -2, 9223372036854775807]"]}, [[1, -2, 9223372036854775807]]),
        ("{parse_list: a, type: list<string>}", {"a": ["[['a', \"b's\"], [], None]", "[]", " [ [ 'x' ,] , ] "]},
         [[["a", "b's"], [], None], [], [["x"]]]),
        ("{parse_list: a, type: list<list<int64>>}", {"a": ["[[[1], [2, 3]]]"]}, [[[[1], [2, 3]]]]),
        ("{parse_list: a, type: bool}", {"a": ["[True, false]"]}, [[True, False]]),
        ("{parse_list: a}", {"a": [["x", None], [], None]}, [["x", None], [], None]),
    ],
    "parse_json": [
        ('{parse_json: a, type: "map<list<int32>>"}', {"a": ['{"k": [1, 2.0]}', None]}, [{"k": [1, 2]}, None]),
        ('{parse_json: a, type: "struct<x: string, z: float64>"}', {"a": ['{"x": "é", "q": 1}', "null"]},
         [{"x": "é", "z": None}, None]),
    ],
    "all": [
        ("{all: [{of: a, above: 1}, {of: b, above: 1}]}", {"a": [2, 0, None, None], "b": [2, None, 0, 2]},
         [True, False, False, None]),
        ("{all: []}", {"a": [1]}, [True]),
    ],
    "any": [
        ("{any: [{of: a, above: 1}, {of: b, above: 1}]}", {"a": [2, 0, None, None], "b": [None, 0, 2, 0]},
         [True, False, True, None]),
        ("{any: []}", {"a": [1]}, [False]),
    ],
    "not": [("{not: a}", {"a": [True, False, None]}, [False, True, None])],
    "of": [
        ("{of: a, equals: 0.1}", {"a": pa.array([0.1, None], pa.float32())}, [True, None]),
        ("{of: a, at_most: 0.1}", {"a": pa.array([0.1], pa.float32())}, [True]),
        ("{of: a, in: [1, 300, 2.5]}", {"a": pa.array([1, 2, None], pa.int8())}, [True, False, None]),
        ("{of: a, in: [x, null]}", {"a": ["x", "y", None]}, [True, False, None]),
        ("{of: a, in: {path: l}}", {"a": ["x", "y", None], "l": [["x"], None, ["y"]]}, [True, None, None]),
        ("{of: a, equals: {path: b}}", {"a": ["x", None], "b": ["x", "x"]}, [True, None]),
        ("{of: l, equals: [a, b]}", {"l": [["a", "b"], ["b", "a"], None]}, [True, False, None]),
        ("{of: l, differs: {path: k}}", {"l": [[["a"]], [None]], "k": [[["a"]], [["b"]]]}, [False, True]),
        ("{of: l, has: {path: a}}", {"l": [[1], [1], None], "a": [1, 2, 3]}, [True, False, None]),
        ("{of: a, contains: {path: b}}", {"a": ["abc", "abc", None], "b": ["b", "x", "a"]}, [True, False, None]),
        ("{of: a, starts_with: {path: b}}", {"a": ["éa", "a"], "b": ["é", "ab"]}, [True, False]),
        ('{of: a, matches: "^\\\\d+$"}', {"a": ["12", "1\n", None]}, [True, False, None]),
        ("{of: a, is_blank: true}", {"a": [" \u3000", "x", None]}, [True, False, True]),
        ("{of: l, is_blank: false}", {"l": [[1], [], None]}, [True, False, False]),
        ("{of: a, is_null: true}", {"a": [None, "x"]}, [True, False]),
        ("{of: l, length: 2, all_different: true}", {"l": [["a", "b"], ["a", "a"], None]}, [True, False, None]),
        ("{of: l, every: {above: 0}}", {"l": [[1, 2], [], [1, None], None]}, [True, True, False, None]),
        ("{of: l, some: {in: [a]}}", {"l": [["a", "b"], [], [None], None]}, [True, False, False, None]),
        ("{of: l, every: {equals: {path: a}}}", {"l": [["x", "x"], ["x"]], "a": ["x", "z"]}, [True, False]),
        ("{of: a, not: {in: [x]}}", {"a": ["x", "y", None]}, [False, True, None]),
        ("{of: a, length: {at_least: 2}}", {"a": ["😀", "ab", None]}, [False, True, None]),
        ("{of: a, has: x}", {"a": [["x"], None]}, [True, None]),
    ],
}  # fmt: skip

FAILURES: list[tuple[str, dict[str, Any], list[Any], dict[int, str]]] = [
    ("{map: a, to: {x: z}}", {"a": ["x", "y", None]}, ["z", None, None], {1: "TSR-R001"}),
    ("{map: a, to: {x: z}}", {"a": [["x", "y"], ["x"]]}, [["z", None], ["z"]], {0: "TSR-R001"}),
    ("{pick: l, by: i}", {"l": [["a"], ["a"]], "i": [1, -1]}, [None, None], {0: "TSR-R005", 1: "TSR-R005"}),
    ("{pick: [a, a], by: i}", {"a": ["x", "x"], "i": [1, 2]}, ["x", None], {1: "TSR-R005"}),
    ("{cast: a, to: int64}", {"a": ["1.0", "x", "", "9" * 19]}, [None] * 4, dict.fromkeys(range(4), "TSR-R003")),
    ("{cast: a, to: int64}", {"a": [1.5, 1e300, float("nan")]}, [None] * 3, dict.fromkeys(range(3), "TSR-R003")),
    ("{cast: a, to: int32}", {"a": [2**31, -(2**31)]}, [None, -(2**31)], {0: "TSR-R003"}),
    ("{cast: a, to: float64}", {"a": ["1e999", "nan", "1,5", "٣"]}, [None] * 4, dict.fromkeys(range(4), "TSR-R003")),
    ("{cast: a, to: float32}", {"a": [1e300, 0.5]}, [None, 0.5], {0: "TSR-R003"}),
    ("{cast: a, to: bool}", {"a": [2, 1]}, [None, True], {0: "TSR-R003"}),
    ("{flags: {x: a}}", {"a": [2, 1]}, [None, ["x"]], {0: "TSR-R003"}),
    ("{zip: {p: a, q: b}}", {"a": [["x"], ["x"]], "b": [[], ["z"]]}, [None, [{"p": "x", "q": "z"}]], {0: "TSR-R005"}),
    ("{messages: l, roles: {a: user}}", {"l": [[{"role": "b", "content": "x"}]]},
     [[{"role": None, "content": "x"}]], {0: "TSR-R001"}),
    *[('{unmark: a, marks: {A: ["<", ">"]}}', {"a": [text]}, [None], {0: "TSR-R004"})
      for text in ("<x", "x>", ">x<", "<a<b>c>", "<a><b")],
    ("{bio_to_spans: l, in: k}", {"l": [["O"]], "k": [["a", "b"]]}, [None], {0: "TSR-R005"}),
    *[("{mark: s, in: a}", {"a": ["é"], "s": [[{"start": start, "end": end, "label": "x"}]]}, [None], {0: "TSR-R005"})
      for start, end in ((0, 0), (-1, 1), (0, 2), (1, 0))],
    ("{mark: s, in: a, marks: {x: [p, q]}}", {"a": ["b"], "s": [[{"start": 0, "end": 1, "label": "z"}]]}, [None],
     {0: "TSR-R001"}),
    *[("{realign: s, within: t, in: t}", {"t": ["b  c"], "s": [[{"start": start, "end": end}]]}, [None],
       {0: "TSR-R005"})
      for start, end in ((1, 3), (-1, 1), (3, 5), (1, 1))],
    ("{realign: s, within: a, in: b}", {"a": ["b c", "b"], "b": ["b d", " b"], "s": [[], [{"start": 0, "end": 1}]]},
     [None, [{"start": 1, "end": 2}]], {0: "TSR-R003"}),
    ("{realign: s, within: a, in: b}", {"a": ["B"], "b": ["b"], "s": [[]]}, [None], {0: "TSR-R003"}),
    ("{table: l}", {"l": [[["a"], ["b", "c"]], [["a"]]]}, [None, "| a |\n| --- |"], {0: "TSR-R005"}),
    *[("{parse_list: a}", {"a": [text]}, [None], {0: "TSR-R004"})
      for text in ("x", "[a]", "['a'", "['a'] x", "[1]", "[['a']]", "__import__('os')", "['\\ud800']", "[,]", "")],
    *[("{parse_list: a, type: list<string>}", {"a": [text]}, [None], {0: "TSR-R004"})
      for text in ("['a']", "[['a'], 'b']", "[['a']", "[['a']]]", "[['a'] ['b']]", "[['a']] x", "[[,]]",
                   "[" * 33 + "]" * 33)],
    *[("{parse_list: a, type: int64}", {"a": [text]}, [None], {0: "TSR-R004"})
      for text in ("[1.5]", "[9223372036854775808]", "[true]", "[" + "1" * 5000 + "]")],
    *[("{parse_json: a, type: string}", {"a": [text]}, [None], {0: "TSR-R004"})
      for text in ("x", "1", '"\\ud800"', "NaN", '{"a": 1, "a": 2}', "[" * 40 + "]" * 40, "[" * 100_000, "")],
    ('{parse_json: a, type: "list<float64>"}', {"a": ["[1" + "0" * 400 + "]"]}, [None], {0: "TSR-R004"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "columns", "values"), [case for cases in CASES.values() for case in cases])
def test_values(text: str, columns: dict[str, Any], values: list[Any]) -> None:
    result = evaluate(text, **columns)
    assert result.values == values
    assert [type(v) for v in result.values] == [type(v) for v in values]
    assert not result.failed


def test_every_op_has_cases() -> None:
    assert not OPS.keys() - CASES.keys()


@pytest.mark.parametrize(("text", "columns", "values", "failed"), FAILURES)
def test_failed_rows_are_null_and_recorded(
    text: str, columns: dict[str, Any], values: list[Any], failed: dict[int, str]
) -> None:
    result = evaluate(text, **columns)
    assert result.values == values
    assert result.failed == failed


LAZY = [
    ("{if: {of: a, matches: '^[0-9]+$'}, then: {cast: a, to: int64}}", [1, None]),
    ("{if: {of: a, matches: '[^0-9]'}, then: -1, else: {cast: a, to: int64}}", [1, -1]),
    ("{coalesce: [b, {cast: a, to: int64}]}", [1, 7]),
    ("{pick: [{cast: a, to: int64}, b], by: i}", [1, 7]),
    ("{all: [{of: b, is_null: true}, {of: {cast: a, to: int64}, above: 0}]}", [True, False]),
    ("{any: [{not: {of: b, is_null: true}}, {of: {cast: a, to: int64}, above: 0}]}", [True, True]),
    ("{each: l, as: e, get: {cast: a, to: int64}}", [[1], []]),
    ("{each: l, as: e, get: {each: l, as: x, get: {cast: a, to: int64}}}", [[[1]], []]),
    ("{each: m, as: e, where: {of: e, equals: x}, get: {cast: a, to: int64}}", [[1], []]),
    ("{each: m, as: e, where: {of: e, equals: x}, get: {if: {of: b, is_null: true}, then: {cast: a, to: int64}}}",
     [[1], []]),
    ("{of: l, every: {equals: {cast: a, to: string}, not: {in: [z]}}}", [False, True]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "values"), LAZY)
def test_what_a_row_does_not_need_does_not_fail_it(text: str, values: list[Any]) -> None:
    columns = {"a": ["1", "bad"], "b": [None, 7], "i": [0, 1], "l": [["x"], []], "m": [["x", "z"], ["z"]]}
    result = evaluate(text, **columns)
    assert result.values == values and not result.failed


@pytest.mark.parametrize(
    "column", ["date", "time", "bytes", "text", "number", "list", "record", "map", "flag", "decimal"]
)
@pytest.mark.parametrize(
    "text",
    ["{strip: c}", "{format: '{c}x'}", "{abs: c}", "{argmax: c}", "{map: c, to: {x: z}, otherwise: keep}",
     "{flatten: c}", "{map: c, to: {1: a}, otherwise: b}", "{of: c, above: 1}", "{of: c, equals: a}", "{of: c, has: a}",
     "{zip: c}",
     "{of: c, length: 1}", "{each: c, as: x, get: {strip: x}}", "{join: c}", "{distinct: c}", "{entries: c}", "c.x.0",
     "{cast: c, to: int64}", "{cast: c, to: string}", "{to_json: c}", "{slice: c, from: 1}", "{if: c, then: 1}",
     "{position_of: c, in: c}", "{positions_of: c, in: c}", "{pick: c, by: c}", "{coalesce: [c, {const: a}]}", "[c, 1]",
     "{messages: c}", "{bio_to_spans: c}", "{spans_to_bio: c, in: c}", "{parse_list: c}", "{sections: {T: c}}",
     "{of: c, some: {contains: a}}", "{find_all: c, pattern: a}", "{split: c}", "{flags: {x: c}}", "{round: c}",
     "{votes: {x: c, z: c}}", "{bin: c, edges: [1], labels: [a, b]}", "{unmark: c, marks: {A: [a, b]}}", "{not: c}",
     "{add: [c, 1]}", "{scale: c, times: 2}", "{token_spans: c}", "{table: c}", "{mark: c, in: c}",
     "{realign: c, within: c, in: c}", "{case: c, to: upper}", "{of: c, is_blank: true}",
     "{of: c, all_different: true}", "{of: c, in: [1]}", "{of: c, every: {above: 1}}", "{length: c}",
     "{any: [c, {of: c, is_null: false}]}", "{of: c, starts_with: {path: c}}", "{nearest_levels: c, levels: [0, 1]}"],
)  # fmt: skip
def test_unexpected_column_types_give_a_value_or_one_clear_error(text: str, column: str) -> None:
    """Without features on record an op may meet any type: it gives values, or an error at its place."""
    cells = {
        "date": pa.array([0, None], pa.date32()),
        "time": pa.array([0, None], pa.timestamp("s", "UTC")),
        "bytes": pa.array([b"\xff", None]),
        "text": pa.array(["a", None]),
        "number": pa.array([1.5, None]),
        "list": pa.array([["a"], None]),
        "record": pa.array([{"x": [1]}, None]),
        "map": pa.array([[("x", "z")], None], pa.map_(pa.string(), pa.string())),
        "flag": pa.array([True, None]),
        "decimal": pa.array([1, None]).cast(pa.decimal128(20, 1)),
    }
    expression, problems = parse(text, None)
    assert not problems
    try:
        result = run(expression, batch_of({"c": cells[column]}))
    except FindingsError as exc:
        (problem,) = exc.problems
        assert problem.code in ("TSR-E007", "TSR-E008") and problem.place is not None
    else:
        assert len(result.values) == 2


def test_a_value_that_overflows_is_an_error_and_not_another_number() -> None:
    for text in ("{add: [a, 1]}", "{scale: a, times: 2}"):
        expression, _ = parse(text, None)
        with pytest.raises(FindingsError, match=r"TSR-E008.*overflows"):
            run(expression, batch_of({"a": [2**63 - 1]}))
