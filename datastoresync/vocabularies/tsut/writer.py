"""Writes users and groups to ThoughtSpot."""

from __future__ import annotations

import argparse
import copy
import getpass
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from datastoresync.app.console import say
from datastoresync.app.parts import Arguments, Writer
from datastoresync.applying.limits import Limits
from datastoresync.applying.report import Report, Result
from datastoresync.applying.safeguards import violations
from datastoresync.branch import Branch
from datastoresync.diffing.action import Action
from datastoresync.errors import DeclarationError, SafeguardError, SyncerError, SyncInterrupted
from datastoresync.masking import SecretText
from datastoresync.object import Object
from datastoresync.syncers.thoughtspot.principals import branch_of, caseless
from datastoresync.syncers.thoughtspot.service import Answer, ThoughtSpotService
from datastoresync.tree import Tree
from datastoresync.vocabularies.tsut.tree import ThoughtSpotGroup, objects_of, principals_of, problems_of

_Principals = list[dict[str, Any]]

_BATCH = 500
_VERBS = {"added": "new", "deleted": "old"}


class ThoughtSpotWriter(Writer):
    """Makes ThoughtSpot's users and groups equal to those of a tree, by its user-sync call (REST API version 1).

    The tree has branches ``users`` and ``groups``, of `ThoughtSpotUser` and `ThoughtSpotGroup`, or of objects with the
    same attributes whose idnumbers are the names. Users and groups that are in ThoughtSpot alone stay, unless
    ``--remove-deleted`` is given; ThoughtSpot is then asked first how many these are, and limits hold as for any sync.

    Updates, lost memberships and lost privileges of users and groups that stay are not limited, since the call tells
    beforehand which ones change, but not how. Look at ``--dry-run`` first if a source may be damaged.

    It writes in batches, groups before users and parents before children. A failed batch is reported with its
    names, and the others go on. Then groups with ``privileges`` get these and lose all others, a result each; a group
    without any keeps what it has.

    Args:
        required_arguments: Further required options.
        name: The name in messages; ``thoughtspot`` if None.
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
        """Add the options of the connection and of the writing."""
        add = parser.add_argument
        add("--url", metavar="URL", help="the URL of ThoughtSpot: https://host")
        add("--username", metavar="NAME", help="the administrator who logs in")
        add(
            "--password",
            metavar="PASSWORD",
            type=SecretText,
            default="env:THOUGHTSPOT_PASSWORD",
            help="their password, or env:NAME for that in an environment variable, hidden from other users; "
            "by default env:THOUGHTSPOT_PASSWORD, or asked for on a terminal",
        )
        add(
            "--initial-password",
            metavar="PASSWORD",
            type=SecretText,
            help="for new users without one; env:NAME as well",
        )
        add("--existing-group", metavar="NAME", action="append", default=[], help="a group that exists already")
        add("--create-groups", action="store_true", help="create groups that users or groups are in, and nobody has")
        add("--merge-groups", action="store_true", help="keep users and groups in the groups that they are in there")
        add("--remove-deleted", action="store_true", help="delete users and groups that only ThoughtSpot has")
        add("--allow-deletions", metavar="N", type=int, help="the number of each to allow, if more than usual")
        add(
            "--batch-size",
            metavar="N",
            type=_at_least(1),
            help=f"users or groups written at once; by default {_BATCH}",
        )
        add("--timeout", metavar="SECONDS", type=float, default=60.0, help="to wait for an answer")
        add("--retries", metavar="N", type=_at_least(0), default=5, help="further attempts without one")
        add("--disable-ssl", action="store_true", help="do not verify the certificate")

    def write(self, args: argparse.Namespace, tree: Tree) -> Report:
        """Write the tree.

        Raises:
            SafeguardError: if users and groups are inconsistent, or too many would be deleted; nothing was changed.
            SyncerError: if ThoughtSpot cannot be reached, or refuses the login.
            SyncInterrupted: on Ctrl-C, with the report up to then.
        """
        return self._run(args, tree, apply=True)

    def preview(self, args: argparse.Namespace, tree: Tree) -> Report:
        """Ask ThoughtSpot for the changes of `write`, with the same refusals.

        It is one call, since a batch may name what another one would create. A line is printed for each user and group
        to create, change or delete, and their numbers.
        """
        report = self._run(args, tree, apply=False)
        for result in report.results:
            if result.status == "planned":
                say(result.action.message if result.action is not None else result.method)
        say(f"{self.name}: {report.stat}")
        return report

    def _run(self, args: argparse.Namespace, tree: Tree, *, apply: bool) -> Report:
        started = time.perf_counter()
        users, groups = objects_of(tree, "users"), objects_of(tree, "groups")
        existing = frozenset(args.existing_group)
        asks = (args.create_groups or args.merge_groups) and bool(users or groups)
        if not asks:
            _refuse(problems_of(users, groups, existing))
        if args.remove_deleted:
            _refuse(_batch_problems(tree, len(users) + len(groups), args.batch_size))
        if not users and not groups:
            return Report((), time.perf_counter() - started, not apply)
        service = ThoughtSpotService(
            args.url,
            args.username,
            password_of(args.password, f"the password of {args.username}"),
            verify=not args.disable_ssl,
            timeout=args.timeout,
            retries=args.retries,
            sleep=self._sleep,
        )
        with service:
            options = {"remove_deleted": args.remove_deleted, "password": password_of(args.initial_password)}
            service.log_in()
            if asks:
                users, groups, existing = _with_groups(service.principals(), users, groups, args)
                _refuse(problems_of(users, groups, existing))
            together = args.remove_deleted or not apply
            batches = _batches(*principals_of(users, groups), size=None if together else args.batch_size or _BATCH)
            if args.remove_deleted:
                answer = service.sync(batches[0], apply=False, **options)
                _refuse(_deletion_problems(answer, batches[0], existing, args.allow_deletions))
            results: list[Result] = []
            number = 0
            try:
                for number in range(len(batches)):
                    results += _batch_results(service, batches, number, apply=apply, **options)
                number = len(batches)
                for result in _privilege_results(service, groups, apply=apply):
                    results.append(result)  # one by one: an interrupt loses none
            except KeyboardInterrupt as error:
                reason = "interrupted; whether it was done is not known"
                if number == len(batches):
                    results.append(Result("failed", reason, None, "sync_privileges", error))
                for batch in batches[number : number + 1]:
                    results += _same_results(batch, "failed", reason, error)
                for batch in batches[number + 1 :]:
                    results += _same_results(batch, "pending", "interrupted before it")
                seconds = time.perf_counter() - started
                raise SyncInterrupted(Report(tuple(results), seconds, not apply, interrupted=True)) from error
        return Report(tuple(results), time.perf_counter() - started, not apply)


def _batch_results(
    service: ThoughtSpotService, batches: list[_Principals], number: int, *, apply: bool, **options: Any
) -> list[Result]:
    """Send a batch, and return its results; if it is refused, these say so."""
    batch = batches[number]
    try:
        return list(_results(batch, service.sync(batch, apply=apply, **options), "succeeded" if apply else "planned"))
    except SyncerError as error:
        where = f"batch {number + 1} of {len(batches)}: " if len(batches) > 1 else ""
        return list(_same_results(batch, "failed", where + str(error), error))


def _with_groups(
    held: list[dict[str, Any]], users: list[Any], groups: list[Any], args: argparse.Namespace
) -> tuple[list[Any], list[Any], frozenset[str]]:
    """Return users and groups as ``--create-groups`` and ``--merge-groups`` want them, and the groups that exist there.

    Args:
        held: What ThoughtSpot holds.
        users: The users.
        groups: The groups.
        args: The values of the options.
    """
    there = {(branch_of(one), caseless(one["name"])): one.get("groupNames") or [] for one in held}
    exist = {name for branch, name in there if branch == "groups"}
    if args.merge_groups:
        users, groups = (
            [_merged(item, there.get((branch, caseless(item.name)), ())) for item in items]
            for branch, items in (("users", users), ("groups", groups))
        )
        exist.update(caseless(name) for names in there.values() for name in names)  # a few are not listed: All
    named = {caseless(name): name for item in (*users, *groups) for name in item.groups}
    existing = frozenset(args.existing_group) | {name for key, name in named.items() if key in exist}
    if args.create_groups:
        known = {caseless(name) for name in (*existing, *(group.name for group in groups))}
        groups = [*groups, *(ThoughtSpotGroup(name=name) for key, name in sorted(named.items()) if key not in known)]
    return users, groups, existing


def _merged(item: Any, held: Iterable[str]) -> Any:
    """Return a copy of a user or a group that is also in the groups that ThoughtSpot has it in."""
    own = set(map(caseless, item.groups))
    merged = copy.copy(item)
    merged.groups = type(item.groups)((*item.groups, *(name for name in held if caseless(name) not in own)))
    return merged


def _privilege_results(service: ThoughtSpotService, groups: list[Any], *, apply: bool) -> Iterator[Result]:
    """Give the groups that have privileges these and no others, and yield a result for each change."""
    if not (told := {group.name: set(group.privileges) for group in groups if group.privileges}):
        return
    try:
        held = {caseless(name): set(names) for name, names in service.privileges().items()}
    except SyncerError as error:
        for name in told:
            yield Result("failed", str(error), None, f"sync_privileges(idnumber={name!r})", error)
        return
    changes: dict[tuple[Any, str], list[str]] = {}
    for name, privileges in told.items():
        if apply and caseless(name) not in held:
            yield Result("failed", "the group is not there", None, f"sync_privileges(idnumber={name!r})")
            continue
        before = held.get(caseless(name), set())
        for verb, values in (("add", privileges - before), ("remove", before - privileges)):
            for privilege in values:
                changes.setdefault((verb, privilege), []).append(name)
    for (verb, privilege), names in sorted(changes.items()):
        status: Literal["succeeded", "failed", "planned"] = "succeeded" if apply else "planned"
        reason, raised = "", None
        if apply:
            try:
                service.change_privilege(verb, privilege, names)
            except SyncerError as error:
                status, reason, raised = "failed", str(error), error
        for name in names:
            action = Action(verb, "groups", name, "privileges", privilege)
            yield Result(status, reason, action, action.method, raised)


def _at_least(minimum: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if int(text) < minimum:
            message = f"{text} is not {minimum} or more"
            raise argparse.ArgumentTypeError(message)
        return int(text)

    return number


def password_of(given: str | None, what: str = "") -> str:
    """Return a password, or the value of the environment variable ``env:NAME``.

    Args:
        given: The value of an option.
        what: The prompt on a terminal, if the variable is not set.
    """
    origin, _, name = (given or "").partition(":")
    if origin != "env" or not given:
        return SecretText(given or "")
    found = os.environ.get(name, "")
    if not found and what and sys.stdin is not None and sys.stdin.isatty():
        found = getpass.getpass(f"{what}: ")
    if not found:
        message = f"there is no password: set the environment variable {name}, or name another one with env:NAME"
        raise DeclarationError(message)
    return SecretText(found)


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


def _batch_problems(tree: Tree, total: int, size: int | None) -> Iterator[str]:
    """Yield the reasons against ``--remove-deleted`` with this tree and this size of batches."""
    if size is not None and total > size:
        yield (
            f"ThoughtSpot deletes users and groups that are not in a batch, so --remove-deleted needs all {total:,} "
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


def _deletion_problems(
    answer: Answer, batch: _Principals, existing: Iterable[str], allowed: int | None
) -> Iterator[str]:
    """Yield the violations of limits by the deletions in ThoughtSpot's answer.

    It is checked as the difference of two trees, after and before.
    """
    after, before = Tree("the tree to be written"), Tree("ThoughtSpot")
    for branch in ("users", "groups"):
        outcomes = answer[branch]
        gone = {caseless(name) for name in outcomes["deleted"]}
        added = {caseless(name) for name in outcomes["added"]}
        written = {caseless(one["name"]) for one in batch if branch_of(one) == branch}
        stays = (
            {caseless(name) for outcome in ("updated", "unchanged") for name in outcomes[outcome]} | written
        ) - gone
        for tree, names in ((after, stays | added), (before, (stays - added) | gone)):
            rows = [{"idnumber": name} for name in sorted(names)]
            tree.grow(branch, Branch(Object, importer=rows))
        for name in sorted(gone.intersection(map(caseless, existing if branch == "groups" else ()))):
            yield (
                f"group {name!r} is there already, as --existing-group says or as users are in it, and would be "
                "deleted: give the tree one"
            )
    limits = None if allowed is None else Limits(deletions=allowed)
    for sentence in violations(after.load().diff(before.load(), only=["old"]), limits):
        yield getattr(sentence, "on_command_line", sentence)


def _results(batch: _Principals, answer: Answer, done: Literal["succeeded", "planned"]) -> Iterator[Result]:
    """Yield the results of a batch, and of the deletions outside of it."""
    named = set()
    for branch, outcomes in answer.items():
        for outcome, names in outcomes.items():
            for name in names:
                named.add((branch, caseless(name)))
                if outcome in _VERBS:
                    action = Action(_VERBS[outcome], branch, name)
                    yield Result(done, "", action, action.method)
                elif outcome == "updated":
                    yield Result(done, "", None, f"update_{branch}(idnumber={name!r})")
                else:
                    named.discard((branch, caseless(name)))
    # Some versions of ThoughtSpot list unchanged principals, and some do not.
    rest = [one for one in batch if (branch_of(one), caseless(one["name"])) not in named]
    yield from _same_results(rest, "skipped", "unchanged")


def _same_results(
    batch: _Principals,
    status: Literal["failed", "skipped", "pending"],
    reason: str,
    error: BaseException | None = None,
) -> Iterator[Result]:
    """Yield the same result for each principal."""
    for one in batch:
        yield Result(status, reason, None, f"sync_{branch_of(one)}(idnumber={one['name']!r})", error)
