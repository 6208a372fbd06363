"""The session and the user-sync call, against a stand-in for ThoughtSpot over a real connection."""

from __future__ import annotations

import pytest
from thoughtspot_server import PASSWORD, ThoughtSpotServer

from datastoresync.errors import SyncerError
from datastoresync.syncers.thoughtspot.service import ThoughtSpotService

BOB = {
    "principalTypeEnum": "LOCAL_USER",
    "name": "bob",
    "displayName": "Bob",
    "groupNames": [],
    "visibility": "DEFAULT",
}


@pytest.fixture
def server():
    with ThoughtSpotServer() as server:
        yield server


def service(server, password=PASSWORD):
    return ThoughtSpotService(server.url, "tsadmin", password, sleep=lambda _: None)


def test_a_sync_returns_the_names_by_what_was_done(server):
    with service(server) as session:
        session.log_in()
        asked = session.sync([BOB], apply=False)
        assert (asked["users"]["added"], list(server.users)) == (["bob"], [])
        assert session.sync([BOB])["users"]["added"] == ["bob"]
        assert session.sync([BOB])["users"]["added"] == []
        assert session.sync([], remove_deleted=True)["users"]["deleted"] == ["bob"]
    assert not server.users


def test_a_wrong_password_is_refused_and_not_shown(server):
    with service(server, "wr0ng") as session, pytest.raises(SyncerError, match=r"'tsadmin' in \(401\)") as caught:
        session.log_in()
    assert "wr0ng" not in str(caught.value)
