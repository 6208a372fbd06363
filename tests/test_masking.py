"""What looks like a secret is in no message, no repr and no traceback with local variables; what does not, stays."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastoresync import Branch, CSVImporter, Object, SQLImporter, Tree
from datastoresync.app import App, SyncerReader, SyncerWriter
from datastoresync.masking import MASK, Secrets, hidden, masked, names_secret, plain, secrets_in, without_frames
from datastoresync.syncers import open_syncer

SECRET = "Zq9" + "sEcReT7"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ann:{}@db.example.org/school",
        "postgresql://ann:p@ss:{}@db/school",
        "postgresql://:{}@db/school",
        "postgresql://db/school?user=ann&password={}",
        "postgresql://db/school?sslpassword={}&x=1",
        "https://{}@example.org/export",
        "https://{}:x-oauth-basic@example.org/export",
        "snowflake://{}@account/db",
        "https://example.org/export?token={}",
        "https://example.org/export?api_key={}&page=2",
        "https://example.org/export?key={}",
        "https://example.org/export?X-Amz-Signature={}",
        "host=db user=ann password={} dbname=school",
        "host=db password='{} with blanks' user=ann",
        "host=db password='it''s {}' user=ann",
        r"host=db password='it\'s {}' user=ann",
        "Server=db;Uid=ann;Pwd={};",
        "AccountKey={}==;EndpointSuffix=core",
        "PGPASSWORD={} psql",
        "{{'password': '{}', 'user': 'ann'}}",
        '{{"api_key": "{}"}}',
        "User(name='ann', password='{}')",
        "Authorization: Basic {}==",
        "{{'Authorization': 'Bearer {}'}}",
        "refused: Bearer {}",
        "login failed (password: {})",
        "the token ghp_{}{} has expired",
        "eyJ{}.eyJ{}.x",
    ],
)
def test_what_looks_like_a_secret_is_masked(text):
    said = f"cannot open it: {text.format(SECRET, SECRET)}; see above"
    shown = masked(said)
    assert SECRET not in shown
    assert MASK in shown
    assert shown.startswith("cannot open it: ")
    assert masked(shown) == shown
    assert SECRET not in repr(hidden(said))
    assert hidden(said) == said


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ann@db.example.org/school",
        "postgresql://school_reader@db/school?sslmode=require",
        'password authentication failed for user "ann"',
        "Access denied for user 'ann'@'localhost' (using password: YES)",
        "the class Ledger has no option 'passwrd': did you mean 'password'?",
        "unauthorized: bad token: expired",
        "table users has no column 'id': name its key, as in --key users=idnumber; there are 'a', 'b'",
        "users.csv:17: grade: 'x' is not an int",
        "see http://example.org:8080/help",
        "token",
    ],
)
def test_what_does_not_is_left(text):
    assert masked(text) == text


@given(st.text(max_size=200))
def test_masking_takes_any_text_and_masks_once(text):
    assert masked(masked(text)) == masked(text)


@pytest.mark.parametrize(
    "text", ["password" * 5000, "token: " * 5000, "a://" + "b:" * 5000, "'pass\\" * 5000, "x" * 99999]
)
def test_masking_takes_no_time_with_odd_texts(text):
    masked(text)


def test_secrets_of_options_are_found_at_any_depth_and_in_every_spelling():
    found = secrets_in({"url": "x://a:p%40ss@h", "connect_args": {"password": "a b"}, "token": ["t1", None], "n": 7})
    assert {"p@ss", "p%40ss", "a b", "a%20b", "a+b", "t1"} <= set(found)
    assert repr(found) == f"<{len(found)} secrets>"
    assert repr(Secrets(["x"])) == "<1 secret>"
    assert names_secret("accessKey")
    assert not names_secret("keyboard")


def test_options_show_no_secret():
    options = hidden(
        {"password": SECRET, "url": f"x://a:{SECRET}@h", "more": [f"?token={SECRET}", {"api_key": SECRET}]}
    )
    assert SECRET not in repr(options)
    assert options == {
        "password": SECRET,
        "url": f"x://a:{SECRET}@h",
        "more": [f"?token={SECRET}", {"api_key": SECRET}],
    }


def test_what_is_hidden_is_the_same_and_plain_again():
    options = {"password": SECRET, "rest": [SECRET, (f"?token={SECRET}",)], "bytes": b"x", "number": 7, "none": None}
    found = hidden(options)
    assert found == options
    assert SECRET not in repr(found["password"]) + repr(found["rest"][1]) + repr(hidden(f"?token={SECRET}".encode()))
    back = plain(found)
    assert repr(back) == repr(options)
    assert type(back["password"]) is str
    assert type(back["rest"][1]) is tuple


def test_an_error_without_frames_keeps_its_causes():
    try:
        try:
            raise KeyError("x")
        except KeyError as error:
            raise ValueError("y") from error
    except ValueError as error:
        bare = without_frames(error)
    assert bare.__traceback__ is None
    assert isinstance(bare.__cause__, KeyError)
    assert bare.__cause__.__traceback__ is None


URLS = [
    "postgresql://ann:{}@127.0.0.1:1/school",
    "postgresql://127.0.0.1:1/school?password={}",
    "postgresql+nothing://ann:{}@127.0.0.1:1/school",
    "postgresql://{}@127.0.0.1:1/school",
    "oddity://ann:{}@127.0.0.1:1/school",
    "host=db user=ann password={}",
    "csv:exports?password={}",
    "nothing:exports?token={}",
    "plugin:nowhere?password={}",
]


@pytest.mark.parametrize("url", URLS)
def test_no_error_of_a_store_shows_a_secret_not_even_with_local_variables(url):
    secret, tree = url.format(SECRET), None
    try:
        tree = Tree("dest", syncer=open_syncer(secret), branches={"users": Branch(Object)})
        tree.load()
    except Exception as error:  # noqa: BLE001 - whichever it is
        found = error
    told = traceback.TracebackException(type(found), found, found.__traceback__.tb_next, capture_locals=True)
    assert SECRET not in "".join(told.format())
    assert SECRET not in repr(found) + repr(vars(found)) + repr(tree)
    del secret


def test_no_error_shows_what_an_engine_is_opened_with():
    syncer = open_syncer("postgresql://127.0.0.1:1/school", connect_args={"password": SECRET})
    with pytest.raises(Exception, match="cannot open") as caught:
        syncer.load("users")
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert SECRET not in "".join(told.format())


@pytest.mark.parametrize("url", [*URLS, "https://{}@example.org/people.csv"])
@pytest.mark.parametrize(
    "wrong",
    [
        lambda url: Branch(Object, importer=url),
        lambda url: CSVImporter(url).read(),
        lambda url: SQLImporter(url, "select 1").read(),
        lambda url: App(SyncerReader(url, tables=["users"]), SyncerWriter(url)).run(["--quiet"]).parts[0].error,
    ],
    ids=["branch", "file", "query", "app"],
)
def test_a_url_in_the_wrong_place_is_not_shown(wrong, url, capsys):
    try:
        found = wrong(url.format(SECRET))
    except Exception as error:  # noqa: BLE001 - whichever it is
        found = error
    trace = found.__traceback__ and found.__traceback__.tb_next
    trace = trace and trace.tb_next  # behind the frames of this test
    told = traceback.TracebackException(type(found), found, trace, capture_locals=True)
    assert SECRET not in "".join(told.format()) + repr(CSVImporter(url.format(SECRET))) + "".join(capsys.readouterr())
