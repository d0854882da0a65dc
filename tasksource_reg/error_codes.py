"""The catalogue of error codes. `TSR-<area><number>`; a code never changes its meaning and is never reused.

Areas: Y YAML syntax, A annotations, E expressions and their types, L locks and drift, U usage (ids, queries,
arguments), N sources and network, R rows, T templates, M mixtures and plans, X exports, W lints.
"""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """What a code means (one line), what to do by default (one line), and the exit status of its kind."""

    title: str
    fix: str
    exit: int = 1


CODES: dict[str, Code] = {
    # Y: YAML syntax
    "TSR-Y001": Code("the file is not YAML", "mend the syntax at the mark"),
    "TSR-Y002": Code("a key stands twice in one mapping", "keep one of the two"),
    "TSR-Y003": Code("an anchor or alias", "write the value out; annotations repeat with for_each and hoisting"),
    "TSR-Y004": Code("a tag", "remove the tag; values are plain data"),
    "TSR-Y005": Code("a merge key", "write the keys out"),
    "TSR-Y006": Code("a plain scalar that YAML readers disagree about", "quote it"),
    "TSR-Y007": Code("a key without a value in a flow mapping", "quote the text if the comma belongs to it"),
    "TSR-Y008": Code("the file is over a budget", "split the file"),
    "TSR-Y009": Code("the file is not UTF-8 text", "save it as UTF-8"),
    "TSR-Y010": Code("more or less than one document", "keep one document in a file"),
    "TSR-Y011": Code("a key that is not a scalar", "use text, a number or a boolean as key"),
    "TSR-Y012": Code("the file cannot be read", "check the path and its permissions", exit=2),
    # A: annotations
    "TSR-A001": Code("an unknown key", "remove it or mend its spelling"),
    "TSR-A002": Code("a required key is missing", "add it"),
    "TSR-A003": Code("a value of the wrong form", "see the format's reference"),
    "TSR-A004": Code("an unknown schema", "use one of `tsr schemas`"),
    "TSR-A005": Code(
        "a field that the schema does not have", "use a field of the schema, or null to drop a hoisted one"
    ),
    "TSR-A006": Code("a field that the schema requires is missing", "map it"),
    "TSR-A007": Code("an id that is not well formed", "use one to three segments of [a-z0-9._-]"),
    "TSR-A008": Code("an id that stands twice", "rename one; former names go into aliases"),
    "TSR-A009": Code("a for_each variable that is not bound or not used", "bind it in every row of for_each"),
    "TSR-A010": Code("a status without its reason", "add `because`"),
    "TSR-A011": Code("the file does not stand where its dataset id says", "move it to annotations/<dataset>.yaml"),
    "TSR-A012": Code("a citation key that is not in references.bib", "add the entry or mend the key"),
    "TSR-A013": Code("an example that does not hold", "mend the mapping or the example"),
    "TSR-A014": Code("an example is missing", "add one; every label of a map stands in an example"),
    "TSR-A015": Code("labels do not fit the family's vocabularies", "map them, or declare `labels`"),
    "TSR-A016": Code("a column that is neither mapped nor listed", "map it or list it under `unused`"),
    "TSR-A017": Code("neither a family with templates nor `ask`", "say in `ask` which decision is asked"),
    "TSR-A018": Code("a split that the source does not have", "use a split on record"),
    "TSR-A019": Code("a config that the source does not have", "use a config on record"),
    "TSR-A020": Code("the format version is not known", "this version of the package reads format 1"),
    "TSR-A021": Code("an unknown family", "use a family that has a file under templates/families"),
    "TSR-A022": Code("a view that cannot be computed", "name a view, a task of the same file, and arguments it has"),
    "TSR-A023": Code(
        "a split of the source that no split of the task reads", "map it, or set it to null under `splits`"
    ),
    "TSR-A024": Code("a column read in another way than its type says", "write the expression for its type"),
    # E: expressions
    "TSR-E001": Code("an unknown op", "see `tsr ops`"),
    "TSR-E002": Code("an argument that the op does not have", "see `tsr ops NAME`"),
    "TSR-E003": Code("an argument is missing", "see `tsr ops NAME`"),
    "TSR-E004": Code("an argument of the wrong form", "see `tsr ops NAME`"),
    "TSR-E005": Code("not an expression", "write a path, a literal or one op"),
    "TSR-E006": Code("an unknown name in a path", "use a column, a `let` name or a variable in scope"),
    "TSR-E007": Code("a path step that the value does not have", "see the features of the column"),
    "TSR-E008": Code("a value of the wrong type", "convert it, or use another op"),
    "TSR-E009": Code("a map that does not cover the values on record", "add the missing keys or `otherwise`"),
    "TSR-E010": Code("definitions that refer to each other in a circle", "break the circle"),
    "TSR-E011": Code("a pattern that the regex engine refuses", "use RE2 syntax with at most one group"),
    "TSR-E012": Code("an unknown verb of a condition", "see `tsr ops conditions`"),
    "TSR-E013": Code("a map key that is not among the values on record", "remove it or mend its spelling"),
    # R: rows
    "TSR-R001": Code("a value outside a map", "add it to the map, or set `otherwise`"),
    "TSR-R002": Code("a label outside the declared set", "map it, declare it, or list it under `unlabelled`"),
    "TSR-R003": Code("a value that cannot be converted", "filter such rows, or convert in another way"),
    "TSR-R004": Code("text that a strict parser refuses", "filter such rows, or use another op"),
    "TSR-R005": Code("an index outside the list", "filter such rows"),
    "TSR-R006": Code("a cell over its budget", "filter such rows by length"),
    # L: locks and drift
    "TSR-L001": Code(
        "the source differs from its lock", "look at the source, then `tsr lock ID`; or pass --accept-drift"
    ),
    "TSR-L002": Code("no lock, or no surviving row count", "run `tsr lock ID`"),
    "TSR-L003": Code("the lock is older than the annotation", "run `tsr lock ID`"),
    "TSR-L004": Code("the lock is damaged", "run `tsr lock ID` to write it again"),
    # U: usage
    "TSR-U001": Code("no such task", "see `tsr list`", exit=2),
    "TSR-U002": Code("an id that names several tasks", "use one of the full ids", exit=2),
    "TSR-U003": Code("no such split in this task", "use one of its splits", exit=2),
    "TSR-U004": Code("a query that cannot be read", "write words such as family:nli or lang:en", exit=2),
    "TSR-U005": Code("an argument out of range", "see --help", exit=2),
    "TSR-U006": Code(
        "the task is parked", "its reason stands beside it; load it by `--parked` if you know better", exit=2
    ),
    "TSR-U007": Code("no such template", "see `tsr templates list`", exit=2),
    "TSR-U008": Code("a version of the task that is not here", "use the version on record", exit=2),
    "TSR-U009": Code("no registry at this place", "pass a folder with annotations/, templates/ or mixtures/", exit=2),
    # N: sources and network
    "TSR-N001": Code("the dataset was not found", "check the id, or pass --mirror", exit=3),
    "TSR-N002": Code("the dataset is gated", "accept its terms on its page, then log in", exit=3),
    "TSR-N003": Code("no token, or one without access", "run `hf auth login` or set HF_TOKEN", exit=3),
    "TSR-N004": Code("no such config in the source", "use one of its configs", exit=3),
    "TSR-N005": Code("no such split in the source", "use one of its splits", exit=3),
    "TSR-N006": Code("the network is down or the hub does not answer", "try again, or use --mirror", exit=3),
    "TSR-N007": Code("a file is truncated or corrupt", "remove the file and fetch it again", exit=3),
    "TSR-N008": Code("offline, and the dataset is not here", "go online once, or use --mirror", exit=3),
    "TSR-N009": Code(
        "the dataset is a loading script",
        "name its data files (`source.files`), or no revision, so that its export on refs/convert/parquet can be read",
        exit=3,
    ),
    "TSR-N010": Code("no file fits the declared pattern", "mend `source.files`", exit=3),
    "TSR-N011": Code("the source could not be read", "see the cause", exit=3),
    "TSR-N012": Code("a file has changed since its source was opened", "open the source again", exit=3),
    "TSR-N013": Code("a source that cannot be streamed", "let it be prepared, or write its files as Parquet", exit=3),
    # T: templates
    "TSR-T001": Code("a template that Jinja cannot parse", "mend the syntax"),
    "TSR-T002": Code("a construct that templates may not use", "see docs/templates.md for the closed lists"),
    "TSR-T003": Code("an unknown variable", "use a field of the schema or a name of the template scope"),
    "TSR-T004": Code("an unknown filter, test or method", "see docs/templates.md for the closed lists"),
    "TSR-T005": Code("a template over a budget", "make it shorter"),
    "TSR-T006": Code("answers that are not distinct, or for unknown labels", "give each label its own words"),
    "TSR-T007": Code("a template id that stands twice or does not fit its file", "rename it"),
    "TSR-T008": Code("an empty prompt or response", "filter such rows, or mend the template"),
    "TSR-T009": Code("a template that failed on a row", "see the cause"),
    "TSR-T010": Code("no template fits the task", "write one, or name one"),
    "TSR-T011": Code("white space that is too much or too little", "see `joint` in docs/templates.md"),
    "TSR-T012": Code("`options_shown` is not what the template does", "mend the facet or the prompt"),
    "TSR-T013": Code("a field of the row that the template does not show", "show it, or limit the template"),
    "TSR-T014": Code("two templates that are nearly the same", "reword one or remove it"),
    "TSR-T015": Code("a translation of a template that is not there", "name the one it was made from"),
    # M: mixtures and plans
    "TSR-M001": Code("a part that selects nothing", "mend the query"),
    "TSR-M002": Code("shares that do not add up", "let the shares sum to 1, or leave one out"),
    "TSR-M003": Code("a rate that is zero, negative or not a number", "give a positive number, or exclude the task"),
    "TSR-M004": Code("a task without rows in this split", "exclude it"),
    "TSR-M005": Code("a state of another plan", "use the state with the plan that made it"),
    "TSR-M006": Code("a position outside the plan", "ask for a position below len(plan)", exit=2),
    "TSR-M007": Code("mixtures that contain each other", "break the circle"),
    "TSR-M008": Code("no such mixture", "pass a path, or a name under mixtures/", exit=2),
    "TSR-M009": Code("an endless plan where an end is needed", "set `stop: {rows: N}`", exit=2),
    "TSR-M010": Code("too few rows for the shots asked for", "ask for fewer shots"),
    "TSR-M012": Code("a shape that the tasks cannot take", "use another shape, or select other tasks"),
    "TSR-M013": Code(
        "the mixture no longer is what was locked", "run `tsr mix lock`, or go back to the locked registry"
    ),
    "TSR-M014": Code("more positions than the epoch caps allow", "ask for fewer rows, or raise max_epochs"),
    "TSR-M015": Code("a plan that cannot be read", "use the version of the package that wrote it"),
    "TSR-M016": Code("a stage, or a control, without positions", "let the stage stop by rows or epochs"),
    "TSR-M017": Code("a size that nobody has counted", "run `tsr lock ID --tokenizer FILE`, or give counts"),
    "TSR-M018": Code("more positions in quarantine than the limit", "mend what fails, or raise quarantine_limit"),
    "TSR-M019": Code("scores that do not fit the rows", "give each row one score, a finite number"),
    "TSR-M020": Code("an order that a stream cannot follow", "set `locality: block`, or a larger TSR_STREAM_SIZE"),
    # X: exports
    "TSR-X001": Code("the folder holds another export", "use an empty folder, or --overwrite", exit=2),
    "TSR-X002": Code("a file differs from its record", "export again"),
    "TSR-X003": Code("a file of the export is missing", "export again"),
    "TSR-X004": Code("the export is not finished", "run the export again to finish it"),
    "TSR-X005": Code("a row outside the export", "use a row below the row count", exit=2),
    "TSR-X006": Code("a replayed row differs", "compare the versions and hashes that are named"),
    "TSR-X007": Code("not an export", "pass a folder that holds manifest.json", exit=2),
    "TSR-X008": Code("no space, or the folder cannot be written", "free space, or choose another folder", exit=2),
    "TSR-X009": Code("another process writes this export", "wait for it, or stop it", exit=2),
    "TSR-X010": Code(
        "a worker ended before its shard was done", "run the export again; fewer --workers need less memory"
    ),
    # W: lints
    "TSR-W001": Code("all rows have one label", "map the column that holds the answer; keep the rows of all labels"),
    "TSR-W002": Code("a label that no row has", "map the source's value to it, or take it out of `labels`"),
    "TSR-W003": Code(
        "rows with a label outside the task's", "map their values, or list those that mean none under `unlabelled`"
    ),
    "TSR-W004": Code("a map that contradicts the names of its classes", "map each name to its own label"),
    "TSR-W005": Code("two fields that stand the wrong way round", "exchange the two"),
    "TSR-W006": Code("right choices outside the choices", "count from 0, or use `position_of`; list all choices"),
    "TSR-W007": Code("the right choice always stands at one place", "add choice_order: shuffled"),
    "TSR-W008": Code("a choice that stands twice", "list every choice once"),
    "TSR-W009": Code("hidden labels that are not said to be withheld", "set the split to withheld under `splits`"),
    "TSR-W010": Code("the same task under two ids", "remove one and list its id under `aliases` of the other"),
    "TSR-W011": Code("spellings of one label that `otherwise: keep` let through", "add the spelling to the map"),
    "TSR-W012": Code("most rows give no value", "look at the rows; drop those without an answer in `where`"),
    "TSR-W013": Code("a label that means that there is none", "list the value under `unlabelled`"),
    "TSR-W014": Code("no right choice stands first", "count from 0 (`{scale: gold, plus: -1}`), or use `position_of`"),
    "TSR-W015": Code("rows without a label that get one", "leave null null; list other values under `unlabelled`"),
    "TSR-W016": Code(
        "the same rows, other answers than the lock counted", "if it is meant, raise `version`; else mend the mapping"
    ),
    "TSR-W017": Code("the right choice has a column that is named as wrong", "give the position of the right column"),
    "TSR-W018": Code("a right choice past a list that is written out", "count from 0, and list all choices"),
    "TSR-W019": Code("a shifted position that counts from 0 already", "take the position as it is"),
    "TSR-W020": Code("0 and 1 stand the wrong way round", "exchange them, or explain it in a comment above the field"),
    "TSR-W021": Code("rows of another split stand in train too", "use `disjoint`, or explain it in a comment above"),
    "TSR-W022": Code("answers that do not stand where they are said to", "mend `start`, or leave it out"),
}
