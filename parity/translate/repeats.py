"""What two functions have in common, five lines and more, as a function of its own."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LEAST = 5  # lines
INDENT = "    "


@dataclass(frozen=True)
class Run:
    """Statements one after another in a function's body.

    Args:
        function: that they are in.
        start: the number of the first.
        stop: that after the last.
    """

    function: ast.FunctionDef
    start: int
    stop: int

    @property
    def statements(self) -> list[ast.stmt]:
        """The statements themselves."""
        return self.function.body[self.start : self.stop]

    @property
    def lines(self) -> slice:
        """Where they stand in the source's lines."""
        return slice(self.statements[0].lineno - 1, self.statements[-1].end_lineno)

    @property
    def length(self) -> int:
        """The number of their lines."""
        return self.lines.stop - self.lines.start

    @property
    def results(self) -> list[str]:
        """The variables that they assign and that are read after them."""
        read = _read(self.function.body[self.stop :])
        return [name for name in _assigned(self.statements) if name in read]

    def is_apart(self, results: Sequence[str]) -> bool:
        """Return whether they return something, and all that they read, or may leave as it was, is known before."""
        if not results and not isinstance(self.statements[-1], ast.Return):
            return False
        before = {*_arguments(self.function), *_assigned(self.function.body[: self.start])}
        every = {*before, *_assigned(self.function.body)}
        return all(name in before for name in _given(self, results) if name in every)


def without_repeats(source: str) -> str:
    """Return functions without lines that stand in two of them, or twice in one: another function has them.

    Args:
        source: the functions, formatted.
    """
    while runs := _longest(source):
        source = _with_function(source, runs)
    return source


def _longest(source: str) -> list[Run]:
    """Return the longest run that stands in two places and can be a function, in all its places."""
    functions = [each for each in ast.parse(source).body if isinstance(each, ast.FunctionDef)]
    texts = {each: [ast.dump(statement) for statement in each.body] for each in functions}
    every: list[list[Run]] = []
    for n, one in enumerate(functions):
        for other in functions[n:]:
            every += [_with_others(runs, functions, texts) for runs in _alike(one, other, texts)]
    longest = sorted(every, key=lambda runs: (-runs[0].length, -len(runs)))
    return next((runs for runs in longest if all(each.is_apart(_results(runs)) for each in runs)), [])


def _class_of(function: ast.FunctionDef) -> str:
    """Return the class that a function is of, or a part of, by its docstring."""
    return (ast.get_docstring(function) or "").rstrip(".").partition(",")[0]


def _alike(
    one: ast.FunctionDef, other: ast.FunctionDef, texts: dict[ast.FunctionDef, list[str]]
) -> Iterator[list[Run]]:
    """Yield the runs that stand in both functions, in two places of each."""
    left, right = texts[one], texts[other]
    same_docstring = left[0] == right[0]
    for i in range(1, len(left)):
        for j in range(i + 1 if one is other else 1, len(right)):
            most = min(len(left) - i, len(right) - j, j - i if one is other else len(left))
            count = next((n for n in range(most) if left[i + n] != right[j + n]), most)
            runs = [Run(one, i, i + count), Run(other, j, j + count)]
            if count and runs[0].length + (same_docstring and i == j == 1) >= LEAST:
                yield runs


def _with_others(
    runs: list[Run], functions: Sequence[ast.FunctionDef], texts: dict[ast.FunctionDef, list[str]]
) -> list[Run]:
    """Return two places of a run, and its others after them."""
    count, last = runs[0].stop - runs[0].start, runs[1]
    wanted = texts[last.function][last.start : last.stop]
    found = list(runs)
    for function in functions[functions.index(last.function) :]:
        start = last.stop if function is last.function else 1
        while start + count <= len(function.body):
            same = texts[function][start : start + count] == wanted
            found += [Run(function, start, start + count)] if same else []
            start += count if same else 1
    return found


def _results(runs: Sequence[Run]) -> list[str]:
    """Return the variables that are read after one of equal runs."""
    read = {name for run in runs for name in run.results}
    return [name for name in _assigned(runs[0].statements) if name in read]


def _given(run: Run, results: Sequence[str]) -> list[str]:
    """Return the names that a run, as a function that returns these, reads from outside."""
    returned = ast.Return(ast.Tuple([ast.Name(name, ast.Load(), lineno=0, col_offset=0) for name in results]))
    return _read([*run.statements, returned])


def _with_function(source: str, runs: list[Run]) -> str:
    """Return a source in which a function stands for equal runs, before the first that calls it."""
    first, lines, results = runs[0], source.splitlines(), _results(runs)
    local = {*_arguments(first.function), *_assigned(first.function.body)}
    given = sorted((each for each in _given(first, results) if each in local), key=_order(first.function).index)
    name, title = _names(runs, source)
    body = lines[first.lines]
    call = f"{name}({', '.join(given)})"
    if isinstance(first.statements[-1], ast.Return):
        call = f"return {call}"
    else:
        call = f"{', '.join(results)} = {call}"
        body.append(f"{INDENT}return {', '.join(results)}")
    for run in sorted(runs, key=lambda each: each.lines.start, reverse=True):
        lines[run.lines] = [f"{INDENT}{call}"]
    place = first.function.lineno - 1
    lines[place:place] = [f"def {name}({', '.join(given)}):", f'{INDENT}"""{title}."""', *body, "", ""]
    return "\n".join(lines) + "\n"


def _names(runs: list[Run], source: str) -> tuple[str, str]:
    """Return the name of runs as a function, and what its docstring says: by the layers that it has."""
    run = runs[0]
    text = "\n".join(source.splitlines()[run.lines])
    layers = list(dict.fromkeys(re.findall(r"\{path\}\.(\w+)", text)))
    of_class = [each.function.name for each in runs if "," not in (ast.get_docstring(each.function) or "")]
    classes = dict.fromkeys(_class_of(each.function) for each in runs)
    whole = " and ".join(each for each in classes if " " not in each) or run.function.name
    part = layers[0] if len(layers) == 1 else "start" if all(each.start == 1 for each in runs) else "part"
    if isinstance(run.statements[-1], ast.Return) and part == "part":
        part = "end"
    base = f"{re.sub(r'_[0-9]+$', '', [*of_class, run.function.name][0])}_{part}"
    taken = set(re.findall(r"\w+", source))
    name = next(each for each in (base, *(f"{base}_{n}" for n in range(2, 99))) if each not in taken)
    return name, f"{whole}, {' to '.join(dict.fromkeys([layers[0], layers[-1]]))}" if layers else f"{whole}, a part"


def _order(function: ast.FunctionDef) -> list[str]:
    """Return a function's variables as its callers give them: tensors, the path, numbers."""
    arguments, assigned = _arguments(function), _assigned(function.body)
    place = arguments.index("path") if "path" in arguments else len(arguments)
    sizes = _assigned(
        [each for each in function.body if isinstance(each, ast.Assign) and ".shape[" in ast.unparse(each)]
    )
    tensors = [each for each in assigned if each not in sizes]
    return [*arguments[:place], *tensors, *arguments[place:], *sizes]


def _arguments(function: ast.FunctionDef) -> list[str]:
    return [each.arg for each in function.args.args]


def _assigned(statements: Sequence[ast.AST]) -> list[str]:
    """Return the names that statements may assign, in order."""
    return list(dict.fromkeys(each.id for each in _named(statements) if isinstance(each.ctx, ast.Store)))


def _named(statements: Sequence[ast.AST]) -> list[ast.Name]:
    every = [each for one in statements for each in ast.walk(one) if isinstance(each, ast.Name)]
    return sorted(every, key=lambda each: (each.lineno or 10**9, each.col_offset))


def _read(statements: Sequence[ast.AST], known: frozenset[str] = frozenset()) -> list[str]:
    """Return the names that statements read before they have surely assigned them, in order."""
    found: dict[str, None] = {}
    for each in statements:
        found.update(dict.fromkeys(_read_by(each, known)))
        known |= _surely_assigned(each)
    return list(found)


def _read_by(statement: ast.AST, known: frozenset[str]) -> list[str]:
    if isinstance(statement, ast.If):
        test = _read_by(statement.test, known)
        return [*test, *_read(statement.body, known), *_read(statement.orelse, known)]
    if isinstance(statement, ast.For):
        own = known | {*_assigned([statement.target])}
        return [*_read_by(statement.iter, known), *_read(statement.body, own)]
    inner = [*ast.walk(statement)]
    of_its_own = {n for each in inner if isinstance(each, ast.comprehension) for n in _assigned([each.target])}
    names = [each.id for each in _named([statement]) if isinstance(each.ctx, ast.Load)]
    return [name for name in names if name not in known | of_its_own]


def _surely_assigned(statement: ast.AST) -> frozenset[str]:
    if isinstance(statement, ast.If):
        one, other = (frozenset().union(*map(_surely_assigned, body)) for body in (statement.body, statement.orelse))
        return one & other
    return frozenset(_assigned([statement]) if not isinstance(statement, ast.For) else [])
