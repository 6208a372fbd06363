"""Single calls to ThoughtSpot: ``from tsut.api import SyncUserAndGroups, SetGroupPrivilegesAPI``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from datastoresync.applying.report import Report
from datastoresync.errors import SyncerError
from datastoresync.masking import SecretText
from datastoresync.syncers.thoughtspot.principals import caseless
from datastoresync.syncers.thoughtspot.service import ThoughtSpotService
from datastoresync.vocabularies.tsut.io import UGJsonReader
from datastoresync.vocabularies.tsut.model import UsersAndGroups
from datastoresync.vocabularies.tsut.writer import ThoughtSpotWriter, password_of


class _Connection:
    """What logs in for each call.

    Args:
        tsurl: The URL of ThoughtSpot: ``https://host``.
        username: The administrator who logs in.
        password: Their password, or ``env:NAME`` for that in an environment variable.
        disable_ssl: Whether to leave the certificate unverified.
    """

    def __init__(
        self,
        tsurl: str,
        username: str,
        password: str,
        disable_ssl: bool = False,  # noqa: FBT001, FBT002 - the order of tsut
    ) -> None:
        self.tsurl, self.username, self.disable_ssl = tsurl, username, disable_ssl
        self._password = SecretText(password)

    @contextmanager
    def _service(self) -> Iterator[ThoughtSpotService]:
        password = password_of(self._password, f"the password of {self.username}")
        with ThoughtSpotService(self.tsurl, self.username, password, verify=not self.disable_ssl) as service:
            service.log_in()
            yield service


class SyncUserAndGroups(_Connection):
    """Reads users and groups from ThoughtSpot, and writes them.

    Args:
        tsurl: The URL of ThoughtSpot: ``https://host``.
        username: The administrator who logs in.
        password: Their password, or ``env:NAME`` for that in an environment variable.
        disable_ssl: Whether to leave the certificate unverified.
        global_password: For new users without one.
        create_groups: Whether to create groups that users or groups are in, and nobody has.
        merge_groups: Whether to keep users and groups in the groups that they are in there.
    """

    def __init__(
        self,
        tsurl: str,
        username: str,
        password: str,
        disable_ssl: bool = False,  # noqa: FBT001, FBT002 - the order of tsut
        global_password: str | None = None,
        create_groups: bool = False,  # noqa: FBT001, FBT002 - as above
        merge_groups: bool = False,  # noqa: FBT001, FBT002 - as above
    ) -> None:
        super().__init__(tsurl, username, password, disable_ssl)
        self._global_password = None if global_password is None else SecretText(global_password)
        self.create_groups, self.merge_groups = create_groups, merge_groups

    def get_all_users_and_groups(self) -> UsersAndGroups:
        """Return all users and groups, with the privileges of groups.

        Raises:
            SyncerError: ThoughtSpot cannot be reached, or refuses.
        """
        with self._service() as service:
            everyone = UGJsonReader().parse_json(service.principals())
            for name, privileges in service.privileges().items():
                if group := everyone.get_group(name):
                    group.privileges = privileges
        return everyone

    def sync_users_and_groups(
        self,
        users_and_groups: UsersAndGroups,
        apply_changes: bool = True,  # noqa: FBT001, FBT002 - the order of tsut
        remove_deleted: bool = False,  # noqa: FBT001, FBT002 - as above
        batch_size: int = -1,
    ) -> Report:
        """Write users and groups, and return what was done.

        Args:
            users_and_groups: They.
            apply_changes: Whether to make the changes; otherwise they are printed.
            remove_deleted: Whether to delete users and groups that only ThoughtSpot has, within the limits.
            batch_size: Users or groups written at once; the usual number if it is less than 1.

        Raises:
            SafeguardError: They are inconsistent, or too many would be deleted; nothing was changed.
            SyncerError: ThoughtSpot cannot be reached, or refuses something, which is named; the rest is done.
        """
        parser: Any = argparse.ArgumentParser()
        writer = ThoughtSpotWriter()
        writer.add_arguments(parser)
        args = parser.parse_args([])
        args.url, args.username, args.password = self.tsurl, self.username, self._password
        args.disable_ssl, args.initial_password = self.disable_ssl, self._global_password
        args.create_groups, args.merge_groups = self.create_groups, self.merge_groups
        args.remove_deleted, args.batch_size = remove_deleted, batch_size if batch_size > 0 else None
        report = (writer.write if apply_changes else writer.preview)(args, users_and_groups.tree)
        if not report.ok:
            message = f"{report.stat}: {'; '.join(dict.fromkeys(result.reason for result in report.failures))}"
            raise SyncerError(message)
        return report


class SetGroupPrivilegesAPI(_Connection):
    """Reads and changes the privileges of groups."""

    def get_privileges_for_group(self, group_name: str) -> list[str] | None:
        """Return the privileges of a group; None if there is no such group."""
        with self._service() as service:
            held = {caseless(name): privileges for name, privileges in service.privileges().items()}
        return held.get(caseless(group_name))

    def add_privilege(self, groups: str | Iterable[str], privilege: str) -> None:
        """Give a privilege to groups, or to one.

        Raises:
            SyncerError: ThoughtSpot cannot be reached, or refuses.
        """
        self._change("add", groups, privilege)

    def remove_privilege(self, groups: str | Iterable[str], privilege: str) -> None:
        """Take a privilege from groups, or from one.

        Raises:
            SyncerError: ThoughtSpot cannot be reached, or refuses.
        """
        self._change("remove", groups, privilege)

    def _change(self, verb: Literal["add", "remove"], groups: str | Iterable[str], privilege: str) -> None:
        with self._service() as service:
            service.change_privilege(verb, privilege, [groups] if isinstance(groups, str) else list(groups))
