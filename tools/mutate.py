"""Mutation testing: changes one place of the code at a time, and says which changes no test notices.

    make mutate MUTATE_ARGS='datastoresync/diffing --sample 150 --tests tests/diffing tests/test_laws.py'

It works on a copy of the tree in a temporary folder. First it runs the tests once, under coverage, to learn which of
them run which line; then each mutant is judged by the tests that run its line, those of the mirrored folder first.
A survivor is either a missing test or an equivalent mutant: nothing but reading it tells.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from coverage import CoverageData

ROOT = Path(__file__).resolve().parents[1]
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-profile", "quick")

OPERATORS: dict[type, type] = {ast.Lt: ast.LtE, ast.Gt: ast.GtE, ast.Eq: ast.NotEq, ast.In: ast.NotIn}
OPERATORS |= {ast.Is: ast.IsNot, ast.And: ast.Or, ast.Add: ast.Sub, ast.Mult: ast.FloorDiv, ast.BitOr: ast.BitAnd}
OPERATORS |= {other: one for one, other in OPERATORS.items()}
FUNCTIONS = {"any": "all", "all": "any", "min": "max", "max": "min"}


class Mutant(NamedTuple):
    """One change: bytes of a file, what stands in their place, and the lines whose tests are asked."""

    path: Path
    start: int
    stop: int
    text: str
    lines: range
    old: str

    def __str__(self) -> str:
        return f"{self.path}:{self.lines.start}: {' '.join(self.old.split())} -> {' '.join(self.text.split())}"


def of_expression(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in the place of an expression."""
    match node:
        case ast.BinOp(left=ast.JoinedStr() | ast.Constant(value=str())):
            pass  # texts that are put together: another operator only raises
        case ast.Compare(ops=[operator]) | ast.BoolOp(op=operator) | ast.BinOp(op=operator):
            if type(operator) in OPERATORS:
                changed = OPERATORS[type(operator)]()
                other: Any = copy.copy(node)
                setattr(other, *(("ops", [changed]) if isinstance(node, ast.Compare) else ("op", changed)))
                yield other
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=str(value)):
            for found in re.finditer(r"(?<=\{)\d+(?=[,}])|(?<=,)\d+(?=\})", value):
                yield ast.Constant(f"{value[: found.start()]}{int(found[0]) + 1}{value[found.end() :]}")
        case ast.Name(id=name, ctx=ast.Load()) if name in FUNCTIONS:
            yield ast.Name(FUNCTIONS[name])


def of_statement(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in the place of a statement, or of the condition that is its place."""
    match node:
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) | ast.comprehension(ifs=[test]):
            if not isinstance(test, (ast.Compare, ast.UnaryOp)):  # these are turned round by themselves
                yield ast.UnaryOp(ast.Not(), test)
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()) | ast.Raise() | ast.AugAssign() | ast.Assign(targets=[ast.Subscript()]):
            yield ast.Pass()
        case ast.Continue() | ast.Break():
            yield ast.Break() if isinstance(node, ast.Continue) else ast.Continue()


def mutants_of(path: Path) -> list[Mutant]:
    """Return all mutants of a file, apart from what only types, docstrings and messages would differ in."""
    source = path.read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found: list[Mutant] = []

    def visit(node: ast.AST) -> None:
        place: Any = node
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.JoinedStr() | ast.Assert() | ast.Expr(ast.Constant()):
                return
            case ast.Assign(targets=[ast.Name(id="__all__" | "message" | "reason")]):
                return
            case ast.If() | ast.IfExp() | ast.While():
                place = node.test
            case ast.comprehension(ifs=[condition]):
                place = condition
        for changed in (*of_expression(node), *of_statement(node)):
            text = ast.unparse(ast.fix_missing_locations(changed))
            text = f"({text})" if isinstance(changed, ast.expr) else text
            start = starts[place.lineno - 1] + place.col_offset
            stop = starts[place.end_lineno - 1] + place.end_col_offset
            lines = range(place.lineno, place.end_lineno + 1)
            found.append(Mutant(path, start, stop, text, lines, source[start:stop].decode()))
        for name, value in ast.iter_fields(node):
            if name not in ("annotation", "returns", "exc", "decorator_list"):
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        visit(child)

    visit(ast.parse(source))
    return found


def sampled(paths: list[Path], size: int, seed: int) -> list[Mutant]:
    """Return so many mutants, of each path as many."""
    chosen: list[Mutant] = []
    shares = [
        [mutant for file in sorted(path.rglob("*.py") if path.is_dir() else [path]) for mutant in mutants_of(file)]
        for path in paths
    ]
    for place, share in enumerate(sorted(shares, key=len)):  # what a small one lacks, the others have more
        wanted = (size - len(chosen)) // (len(shares) - place)
        chosen += random.Random(seed).sample(share, min(wanted, len(share)))
    return chosen


def tests_by_line(tests: list[str]) -> Callable[[Mutant], list[str]]:
    """Run the tests once, and return what gives those of a mutant."""
    options = ["-n", "2", "--dist", "loadfile", "--cov=datastoresync", "--cov-context=test", "--cov-fail-under=0"]
    subprocess.run([*PYTEST, *options, "--cov-report=", *tests], check=True)
    data = CoverageData()
    data.read()

    def tests_of(mutant: Mutant) -> list[str]:
        by_line = data.contexts_by_lineno(str(mutant.path.resolve()))
        names = {name for line in mutant.lines for name in by_line.get(line, ())} - {""}
        names = names or {name for some in by_line.values() for name in some} - {""}  # it runs when it is imported
        functions = {name.partition("|")[0].partition("[")[0] for name in names}
        mirrored = f"tests/{'/'.join(mutant.path.parts[1:-1])}"
        return sorted(functions, key=lambda name: (not name.startswith(mirrored), mutant.path.stem not in name, name))

    return tests_of


def outcome(mutant: Mutant, tests: list[str], timeout: float, place: int) -> str:
    """Return what became of a mutant: ``killed``, ``survived``, ``timeout`` or ``untested``."""
    if not tests:
        return "untested"
    source, times = mutant.path.read_bytes(), mutant.path.stat()
    Path(".tests").write_text("\n".join(tests), encoding="utf-8")
    try:
        mutant.path.write_bytes(source[: mutant.start] + mutant.text.encode() + source[mutant.stop :])
        # Another time for each, or its bytecode might pass for that of the one before.
        os.utime(mutant.path, (times.st_atime, times.st_mtime + place + 1))
        # It is interrupted, and not killed, so that it stops the servers that it started.
        limited = ["timeout", "--signal=INT", "--kill-after=20", str(timeout), *PYTEST, "-x", "@.tests"]
        code = subprocess.run(limited, stdout=subprocess.DEVNULL, check=False).returncode
        return {0: "survived", 124: "timeout", 137: "timeout"}.get(code, "killed")
    finally:
        mutant.path.write_bytes(source)
        os.utime(mutant.path, (times.st_atime, times.st_mtime))


def main() -> None:
    """Judge a sample, and print what became of each mutant and how many there are of each kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("paths", nargs="+", type=Path, help="modules or folders; of each, as many mutants are tried")
    parser.add_argument("--sample", type=int, default=100, help="how many mutants (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds a mutant (default: %(default)s)")
    parser.add_argument("--tests", nargs="+", default=["tests", "datastoresync"], help="tests that may notice")
    asked = parser.parse_args()
    ignored = shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__", ".hypothesis", ".coverage*")
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        shutil.copytree(ROOT, folder, ignore=ignored, dirs_exist_ok=True)
        os.chdir(folder)
        os.environ["PYTHONPATH"] = folder
        chosen = sampled(asked.paths, asked.sample, asked.seed)
        tests_of = tests_by_line(asked.tests)
        counts: Counter[str] = Counter()
        for place, mutant in enumerate(chosen):
            found = outcome(mutant, tests_of(mutant), asked.timeout, place)
            counts[found] += 1
            print(f"{place + 1}/{len(chosen)} {found}: {mutant}", flush=True)
        os.chdir(ROOT)
    print(dict(counts))


if __name__ == "__main__":
    main()
