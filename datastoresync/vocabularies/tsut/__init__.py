"""tsut, the user tools for ThoughtSpot, in its own words: users and groups, readers, writers and an application.

>>> everyone = UsersAndGroups()
>>> everyone.add_user(User("Bob", mail="bob@example.org", group_names=["staff"]))
>>> everyone.add_group(Group("staff"))
>>> everyone.get_user("bob").groupNames, everyone.is_valid().result
(['staff'], True)
"""

from datastoresync.vocabularies.tsut.api import SetGroupPrivilegesAPI, SyncUserAndGroups
from datastoresync.vocabularies.tsut.app import (
    TSUGCSVReader,
    TSUGCSVWriter,
    TSUGJsonReader,
    TSUGJSONWriter,
    TSUGJsonWriter,
    TSUGOutputWriter,
    TSUGReader,
    TSUGStdOutWriter,
    TSUGSyncReader,
    TSUGSyncWriter,
    TSUGWriter,
    TSUGXLSReader,
    TSUGXLSWriter,
    TSUGXLSXReader,
    TSUGXLSXWriter,
    TSUserGroupSyncApp,
)
from datastoresync.vocabularies.tsut.io import UGJsonReader, UGXLSReader, UGXLSWriter
from datastoresync.vocabularies.tsut.model import UsersAndGroups, UsersAndGroupsTree, Validity
from datastoresync.vocabularies.tsut.principal import Group, User, Visibility
from datastoresync.vocabularies.tsut.tree import ThoughtSpotGroup, ThoughtSpotTree, ThoughtSpotUser
from datastoresync.vocabularies.tsut.util import add_cnx_parser_arguments, eprint
from datastoresync.vocabularies.tsut.writer import ThoughtSpotWriter

__all__ = [
    "Group",
    "SetGroupPrivilegesAPI",
    "SyncUserAndGroups",
    "TSUGCSVReader",
    "TSUGCSVWriter",
    "TSUGJSONWriter",
    "TSUGJsonReader",
    "TSUGJsonWriter",
    "TSUGOutputWriter",
    "TSUGReader",
    "TSUGStdOutWriter",
    "TSUGSyncReader",
    "TSUGSyncWriter",
    "TSUGWriter",
    "TSUGXLSReader",
    "TSUGXLSWriter",
    "TSUGXLSXReader",
    "TSUGXLSXWriter",
    "TSUserGroupSyncApp",
    "ThoughtSpotGroup",
    "ThoughtSpotTree",
    "ThoughtSpotUser",
    "ThoughtSpotWriter",
    "UGJsonReader",
    "UGXLSReader",
    "UGXLSWriter",
    "User",
    "UsersAndGroups",
    "UsersAndGroupsTree",
    "Validity",
    "Visibility",
    "add_cnx_parser_arguments",
    "eprint",
]
