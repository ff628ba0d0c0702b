"""Mutants: copies of a module in which one thing is changed that a test should mind.

What is changed: comparisons, arithmetic, `and` and `or`, `not`, numbers, words, booleans, arguments (None, or left
out), what is assigned, statements that only call or delete (left out), `break` and `continue`, and functions that have
a twin (`min` and `max`, `any` and `all`, `bisect_left` and `bisect_right`, `startswith` and `endswith`).

What isn't, because no test of behaviour could mind: docstrings, annotations and names of types, the options of classes,
the type that `cast` names, `strict=` of `zip` and `maxsize=` of a cache, `assert_never`, and words for people (every
text with a blank in it, and where an exception is made).
"""

import ast
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
    ast.Mod: ast.Div, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.Pow: ast.Mult,
}  # fmt: skip
_PAIRS: Final = (
    ("min", "max"), ("any", "all"), ("bisect_left", "bisect_right"), ("startswith", "endswith"),
    ("removeprefix", "removesuffix"), ("partition", "rpartition"),
)  # fmt: skip
_TWINS: Final = dict(_PAIRS) | {second: first for first, second in _PAIRS}
_WITHOUT_EFFECT: Final = frozenset(("strict", "maxsize"))
_OF_TYPES: Final = (
    ast.Name,
    ast.Subscript,
    ast.Attribute,
    ast.BinOp,
    ast.BitOr,
    ast.Tuple,
    ast.List,
    ast.Constant,
    ast.Load,
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Mutant(Struct, frozen=True, kw_only=True):
    """One change; `name` says it the same way as long as the line is the same."""

    module: str
    function: str
    """The one it stands in; empty for what runs at import."""
    line: int
    lines: tuple[int, int]
    """First and last of the statement."""
    before: str
    """The line of code, and what of it is changed."""
    after: str
    source: str
    """Of the whole module."""

    @property
    def name(self) -> str:
        """Say what is changed, and where."""
        return f"{self.module}.{self.function or '-'}: {self.before} => {self.after}"


def mutants_of(module: str, source: str) -> list[Mutant]:
    """List the mutants of a module, in the order of its lines."""
    text = source.encode()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found: dict[str, Mutant] = {}
    for (node, replacement, label), function, statement in _changes(ast.parse(source)):
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        changed = (text[:begin] + replacement.encode() + text[end:]).decode()
        code = " ".join(text[starts[node.lineno - 1] : starts[node.lineno]].decode().split())
        original = " ".join(text[begin:end].decode().split())
        mutant = Mutant(
            module=module,
            function=function,
            line=node.lineno,
            lines=_reach(statement),
            before=code if label or code == original else f"{code} | {original}",
            after=label or " ".join(replacement.split()),
            source=changed,
        )
        found.setdefault(mutant.name, mutant)
    return list(found.values())


def _reach(statement: ast.stmt) -> tuple[int, int]:
    """Return the lines of a statement, without those of the block that it heads."""
    body = getattr(statement, "body", None)
    last = body[0].lineno - 1 if body else statement.end_lineno or statement.lineno
    return statement.lineno, max(statement.lineno, last)


Change = tuple[ast.expr | ast.stmt, str, str]
"""What is replaced, by what, and how that is called where the code doesn't say it best."""
Placed = tuple[Change, str, ast.stmt]
"""A change, in which function, within which statement."""


def _changes(tree: ast.Module) -> Iterator[Placed]:
    for statement in tree.body:
        yield from _of_statement(statement, "")


def _of_statement(statement: ast.stmt, function: str) -> Iterator[Placed]:  # noqa: C901  a loop a kind of block
    if _is_for_types(statement, function) or isinstance(statement, ast.Import | ast.ImportFrom | ast.Raise):
        return
    for change in _whole(statement):
        yield change, function, statement
    inner = f"{function}.{statement.name}".lstrip(".") if isinstance(statement, Function | ast.ClassDef) else function
    for expression in _expressions(statement):
        for change in _of_expression(expression):
            yield change, function, statement
    for block in ("body", "orelse", "finalbody"):
        for child in getattr(statement, block, ()):
            yield from _of_statement(child, inner)
    for handler in getattr(statement, "handlers", ()):
        for child in handler.body:
            yield from _of_statement(child, inner)
    for case in getattr(statement, "cases", ()):
        for change in _of_expression(case.guard) if case.guard else ():
            yield change, function, statement
        for child in case.body:
            yield from _of_statement(child, inner)


def _is_for_types(statement: ast.stmt, function: str) -> bool:
    """Tell whether a statement is a docstring, an alias of a type, or says what can't be reached."""
    match statement:
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id="assert_never"))):
            return True
        case ast.Assign(value=ast.Constant()):
            return False
        case ast.Assign(value=value):
            return not function and all(isinstance(node, _OF_TYPES) for node in ast.walk(value))
    return False


def _whole(statement: ast.stmt) -> Iterator[Change]:
    match statement:
        case ast.Break():
            yield statement, "continue", ""
        case ast.Continue():
            yield statement, "break", ""
        case ast.Expr(value=ast.Call()) | ast.Delete():
            yield statement, "pass", ""
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            is_none = isinstance(value, ast.Constant) and value.value is None
            if not _is_message(value):
                yield value, '""' if is_none else "None", ""
        case ast.AugAssign(target=target, op=operation, value=value):
            other = _ARITHMETIC[type(operation)]()
            yield statement, ast.unparse(ast.AugAssign(target=target, op=other, value=value)), ""
            yield statement, ast.unparse(ast.Assign(targets=[target], value=value, lineno=0)), ""


def _expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """Iterate over the expressions of a statement that run, without those of its blocks."""
    match statement:
        case ast.FunctionDef(args=arguments):
            yield from arguments.defaults
            yield from (default for default in arguments.kw_defaults if default is not None)
        case ast.ClassDef():
            return
        case ast.AnnAssign(value=value):
            if value is not None:
                yield value
        case _:
            yield from (child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.expr))


def _of_expression(node: ast.expr) -> Iterator[Change]:
    if _is_message(node):
        return
    for replacement in _replacements(node):
        yield node, f"({ast.unparse(replacement)})", ""
    if isinstance(node, ast.Call):
        yield from _of_arguments(node)
    for child in _parts(node):
        yield from _of_expression(child)


def _is_message(node: ast.expr) -> bool:
    """Tell whether an expression is a text for people: one with a blank in it."""
    match node:
        case ast.Constant(value=str() as text):
            return " " in text
        case ast.JoinedStr(values=values):
            return any(_is_message(value) for value in values)
    return False


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.JoinedStr():
            return  # its parts have no places of their own in this Python
        case ast.Call(func=ast.Name(id="cast"), args=[_, value]):
            yield value
            return
        case ast.Call(func=ast.Attribute(attr="compile"), args=[ast.Constant()]):
            return
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.expr():
                yield child
            case ast.keyword(arg=name, value=value) if name not in _WITHOUT_EFFECT:
                yield value
            case ast.comprehension(iter=iterated, ifs=conditions):
                yield iterated
                yield from conditions


def _replacements(node: ast.expr) -> Iterator[ast.expr]:  # noqa: C901  a case a kind of expression
    match node:
        case ast.Constant(value=value):
            yield from _other_constants(value)
        case ast.JoinedStr():
            yield ast.Constant("XX")
        case ast.Compare(left=left, ops=operations, comparators=others):
            for place, operation in enumerate(operations):
                swapped = [*operations[:place], _COMPARISONS[type(operation)](), *operations[place + 1 :]]
                yield ast.Compare(left=left, ops=swapped, comparators=others)
        case ast.BoolOp(op=operation, values=values):
            yield ast.BoolOp(op=ast.Or() if isinstance(operation, ast.And) else ast.And(), values=values)
        case ast.BinOp(left=left, op=operation, right=right):
            yield ast.BinOp(left=left, op=_ARITHMETIC[type(operation)](), right=right)
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.Lambda(args=arguments, body=body) if not (isinstance(body, ast.Constant) and body.value is None):
            yield ast.Lambda(args=arguments, body=ast.Constant(None))
        case ast.IfExp(test=test, body=body, orelse=otherwise):
            yield ast.IfExp(test=ast.UnaryOp(op=ast.Not(), operand=test), body=body, orelse=otherwise)
        case ast.Name(id=name) if name in _TWINS:
            yield ast.Name(id=_TWINS[name])
        case ast.Attribute(value=value, attr=name) if name in _TWINS:
            yield ast.Attribute(value=value, attr=_TWINS[name])


def _other_constants(value: object) -> Iterator[ast.expr]:
    match value:
        case bool():
            yield ast.Constant(not value)
        case int() | float():
            yield ast.Constant(value + 1)
        case str():
            yield ast.Constant(f"XX{value}XX")


def _without_effect(call: ast.Call, keyword: ast.keyword | None, value: ast.expr) -> bool:
    of_types = isinstance(call.func, ast.Name) and call.func.id in {"cast", "zip"} and keyword is None
    return (
        of_types
        or isinstance(value, ast.Starred)
        or _is_message(value)
        or (keyword is not None and (keyword.arg is None or keyword.arg in _WITHOUT_EFFECT))
    )


def _of_arguments(call: ast.Call) -> Iterator[Change]:
    """Make one argument None, or leave it out where others stay."""
    for place, argument in enumerate(call.args):
        if not _without_effect(call, None, argument):
            rest = ast.Call(func=call.func, args=[*call.args[:place], *call.args[place + 1 :]], keywords=call.keywords)
            yield from _of_argument(call, argument, rest)
    for place, keyword in enumerate(call.keywords):
        if not _without_effect(call, keyword, keyword.value):
            others = [*call.keywords[:place], *call.keywords[place + 1 :]]
            yield from _of_argument(call, keyword.value, ast.Call(func=call.func, args=call.args, keywords=others))


def _of_argument(call: ast.Call, argument: ast.expr, rest: ast.Call) -> Iterator[Change]:
    if not (isinstance(argument, ast.Constant) and argument.value is None):
        yield argument, "None", ""
    if rest.args or rest.keywords:
        yield call, ast.unparse(rest), f"{ast.unparse(call.func)} without {ast.unparse(argument)}"
