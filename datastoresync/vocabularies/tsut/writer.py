"""Writes users and groups to ThoughtSpot."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from datastoresync.app.console import say
from datastoresync.app.parts import Arguments, Writer
from datastoresync.applying.report import Report, Result
from datastoresync.applying.safeguards import Limits, violations
from datastoresync.branch import Branch
from datastoresync.diffing.action import Action
from datastoresync.errors import DeclarationError, SafeguardError, SyncerError, SyncInterrupted
from datastoresync.object import Object
from datastoresync.syncers.thoughtspot.principals import branch_of, caseless
from datastoresync.syncers.thoughtspot.service import Answer, ThoughtSpotService
from datastoresync.tree import Tree
from datastoresync.vocabularies.tsut.tree import objects_of, principals_of, problems_of

_Principals = list[dict[str, Any]]

_BATCH = 500
_VERBS = {"added": "new", "deleted": "old"}


class ThoughtSpotWriter(Writer):
    """Makes ThoughtSpot's users and groups like those of a tree, through its user-sync call (REST API version 1).

    The tree has branches ``users`` and ``groups``, of `ThoughtSpotUser` and `ThoughtSpotGroup`, or of objects with the
    same attributes whose idnumbers are the names. Users and groups that are in ThoughtSpot alone stay, unless
    ``--remove-deleted`` is given; ThoughtSpot is then asked first how many these are, and limits hold as for any sync.

    Nothing limits what is changed in users and groups that stay: how many get other values, and how many memberships
    are lost. The call says beforehand who is changed, and not how. Look at ``--dry-run`` first where a source may be
    damaged.

    It writes in batches, groups before users and parents before children. One that fails is reported with the names in
    it, and the others go on.

    Args:
        required_arguments: Further options that must be given.
        name: What messages call it; ``thoughtspot`` if None.
        sleep: Waits for a number of seconds, between attempts.
    """

    def __init__(
        self,
        *,
        required_arguments: Iterable[str] = (),
        name: str | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        super().__init__(required_arguments=["url", "username", *required_arguments], name=name or "thoughtspot")
        self._sleep = sleep

    def add_arguments(self, parser: Arguments) -> None:
        """Add where ThoughtSpot is, who logs in, and how much is written at once."""
        add = parser.add_argument
        add("--url", metavar="URL", help="where ThoughtSpot is: https://host")
        add("--username", metavar="NAME", help="who logs in; an administrator")
        add(
            "--password",
            metavar="PASSWORD",
            default="env:THOUGHTSPOT_PASSWORD",
            help="their password, or env:NAME for that of an environment variable, which others cannot see; "
            "by default env:THOUGHTSPOT_PASSWORD, and a terminal is asked if there is none",
        )
        add("--initial-password", metavar="PASSWORD", help="for new users who bring none; env:NAME as well")
        add("--existing-group", metavar="NAME", action="append", default=[], help="a group that is there already")
        add("--remove-deleted", action="store_true", help="delete the users and groups that are in ThoughtSpot alone")
        add("--allow-deletions", metavar="N", type=int, help="how many of each may be deleted, if more than usual")
        add("--batch-size", metavar="N", type=_positive, help=f"users or groups written at once; by default {_BATCH}")
        add("--timeout", metavar="SECONDS", type=float, default=60.0, help="to wait for an answer")
        add("--retries", metavar="N", type=_natural, default=5, help="further attempts when there is none")
        add("--disable-ssl", action="store_true", help="talk to whoever answers, without any proof of who it is")

    def write(self, args: argparse.Namespace, tree: Tree) -> Report:
        """Write the tree.

        Raises:
            SafeguardError: if users and groups do not fit together, or too many would be deleted; nothing was changed.
            SyncerError: if ThoughtSpot cannot be reached, or does not let us in.
            SyncInterrupted: on Ctrl-C, with the report of what was done.
        """
        return self._run(args, tree, apply=True)

    def preview(self, args: argparse.Namespace, tree: Tree) -> Report:
        """Ask ThoughtSpot what `write` would do; what `write` would refuse is refused here.

        It is asked about everything at once, since a batch may name what another one would have created. The answer is
        printed: a line for each user and group that would be created, changed or deleted, and how many these are.
        """
        report = self._run(args, tree, apply=False)
        for result in report.results:
            if result.status == "succeeded":
                say(result.action.message if result.action is not None else result.method)
        say(f"{self.name}: {report.stat}")
        return report

    def _run(self, args: argparse.Namespace, tree: Tree, *, apply: bool) -> Report:
        started = time.perf_counter()
        users, groups = objects_of(tree, "users"), objects_of(tree, "groups")
        _refuse(problems_of(users, groups, frozenset(args.existing_group)))
        if args.remove_deleted:
            _refuse(_undeletable(tree, len(users) + len(groups), args.batch_size))
        together = args.remove_deleted or not apply
        batches = _batches(*principals_of(users, groups), size=None if together else args.batch_size or _BATCH)
        if not batches:
            return Report((), time.perf_counter() - started, not apply)
        service = ThoughtSpotService(
            args.url,
            args.username,
            _password(args.password, f"the password of {args.username}"),
            verify=not args.disable_ssl,
            timeout=args.timeout,
            retries=args.retries,
            sleep=self._sleep,
        )
        with service:
            options = {"remove_deleted": args.remove_deleted, "password": _password(args.initial_password)}
            service.log_in()
            if args.remove_deleted:
                answer = service.sync(batches[0], apply=False, **options)
                _refuse(_deletions(answer, batches[0], args.existing_group, args.allow_deletions))
            results: list[Result] = []
            for number, batch in enumerate(batches):
                try:
                    results += _results(batch, service.sync(batch, apply=apply, **options))
                except SyncerError as error:
                    where = f"batch {number + 1} of {len(batches)}: " if len(batches) > 1 else ""
                    results += _alike(batch, "failed", where + str(error), error)
                except KeyboardInterrupt as error:
                    results += _alike(batch, "failed", "interrupted; whether it was done is not known", error)
                    for rest in batches[number + 1 :]:
                        results += _alike(rest, "pending", "interrupted before it")
                    seconds = time.perf_counter() - started
                    raise SyncInterrupted(Report(tuple(results), seconds, not apply, interrupted=True)) from error
        return Report(tuple(results), time.perf_counter() - started, not apply)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        message = f"{number} is not 1 or more"
        raise argparse.ArgumentTypeError(message)
    return number


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        message = f"{number} is not 0 or more"
        raise argparse.ArgumentTypeError(message)
    return number


def _password(given: str | None, what: str = "") -> str:
    """Return a password that was given, or that of the environment variable that was named.

    Args:
        given: The value of an option.
        what: What a terminal is asked for, if the variable is not there; a password that has a name is needed.
    """
    origin, _, name = (given or "").partition(":")
    if origin != "env" or not given:
        return given or ""
    found = os.environ.get(name, "")
    if not found and what and sys.stdin is not None and sys.stdin.isatty():
        found = getpass.getpass(f"{what}: ")
    if not found:
        message = f"there is no password: set the environment variable {name}, or name another one with env:NAME"
        raise DeclarationError(message)
    return found


def _batches(users: _Principals, groups: _Principals, *, size: int | None) -> list[_Principals]:
    """Divide principals into batches: one if they fit, or if there is no size, and the groups' first otherwise."""
    total = len(users) + len(groups)
    if size is None or total <= size:
        return [[*groups, *users]] if total else []
    return [kind[start : start + size] for kind in (groups, users) for start in range(0, len(kind), size)]


def _refuse(problems: Iterable[str]) -> None:
    found = tuple(problems)
    if found:
        lines = "".join(f"\n  - {problem}" for problem in found)
        message = f"refused, and nothing was changed:{lines}"
        raise SafeguardError(message, violations=found)


def _undeletable(tree: Tree, total: int, size: int | None) -> Iterator[str]:
    """Yield the reasons why nothing may be deleted that this tree does not have, in batches of this size."""
    if size is not None and total > size:
        yield (
            f"ThoughtSpot takes whoever is not in a batch for deleted, so that --remove-deleted needs all {total:,} "
            f"users and groups in one: leave --batch-size out, or give {total}"
        )
    if not total:
        yield f"{tree.name} is empty, and --remove-deleted would delete all users and groups: import it first"
    for name in ("users", "groups"):
        rejected = tree[name].side().rejected
        if rejected:
            yield (
                f"{tree[name].full_name}: {rejected:,} of its rows could not be read, and --remove-deleted would "
                f"delete what they hold: mend the data, or leave it out"
            )


def _deletions(answer: Answer, batch: _Principals, existing: Iterable[str], allowed: int | None) -> Iterator[str]:
    """Yield the reasons not to delete what ThoughtSpot says it would.

    Its answer is two trees, after and before, whose difference keeps to the limits of every other one.
    """
    after, before = Tree("the tree to be written"), Tree("ThoughtSpot")
    for branch in ("users", "groups"):
        fates = answer[branch]
        gone = {caseless(name) for name in fates["deleted"]}
        added = {caseless(name) for name in fates["added"]}
        written = {caseless(one["name"]) for one in batch if branch_of(one) == branch}
        stays = ({caseless(name) for fate in ("updated", "unchanged") for name in fates[fate]} | written) - gone
        for tree, names in ((after, stays | added), (before, (stays - added) | gone)):
            rows = [{"idnumber": name} for name in sorted(names)]
            tree.grow(branch, Branch(Object, importer=rows))
        for name in sorted(gone.intersection(map(caseless, existing if branch == "groups" else ()))):
            yield f"group {name!r} is there already, as --existing-group says, and would be deleted: give the tree one"
    limits = None if allowed is None else Limits(deletions=allowed)
    for sentence in violations(after.load().diff(before.load(), only=["old"]), limits):
        yield f"{sentence}; on the command line that is --allow-deletions"


def _results(batch: _Principals, answer: Answer) -> Iterator[Result]:
    """Yield what became of the principals of a batch, and of those that were deleted for not being in it."""
    named = set()
    for branch, fates in answer.items():
        for fate, names in fates.items():
            for name in names:
                named.add((branch, caseless(name)))
                if fate in _VERBS:
                    action = Action(_VERBS[fate], branch, name)
                    yield Result("succeeded", "", action, action.method)
                elif fate == "updated":
                    yield Result("succeeded", "", None, f"update_{branch}(idnumber={name!r})")
                else:
                    named.discard((branch, caseless(name)))
    # Some versions list what they left alone, and some do not.
    rest = [one for one in batch if (branch_of(one), caseless(one["name"])) not in named]
    yield from _alike(rest, "skipped", "unchanged")


def _alike(
    batch: _Principals,
    status: Literal["failed", "skipped", "pending"],
    reason: str,
    error: BaseException | None = None,
) -> Iterator[Result]:
    """Yield one result for all of some principals."""
    for one in batch:
        yield Result(status, reason, None, f"sync_{branch_of(one)}(idnumber={one['name']!r})", error)
