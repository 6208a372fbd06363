"""What a template's method may say, and what is left of an exception once its secrets are out."""

import pytest

from datastoresync import Result, failed, skipped, succeeded
from datastoresync.applying.report import STATUSES, reason_of


class DatabaseError(Exception):
    """Looks like a driver's exception: a short message, and a long one with the row in it."""

    def __init__(self, primary, sqlstate="23505"):
        super().__init__(f"{primary}\nDETAIL:  Key (email)=(ann@example.org) already exists.")
        self.diag = type("Diagnosis", (), {"message_primary": primary})()
        self.sqlstate = sqlstate


class WrapperError(Exception):
    """Looks like what an SQL toolkit wraps round it."""

    def __init__(self, original):
        super().__init__(f"{original}\n[SQL: insert into users values (:email)]\n[parameters: ('ann@example.org',)]")
        self.orig = original


@pytest.mark.parametrize(
    ("result", "status", "reason"),
    [
        (succeeded(), "succeeded", ""),
        (succeeded("twice"), "succeeded", "twice"),
        (failed("no"), "failed", "no"),
        (skipped("on leave"), "skipped", "on leave"),
    ],
)
def test_the_three_things_that_a_method_may_say(result, status, reason):
    assert (result.status, result.reason, result.action) == (status, reason, None)
    assert status in STATUSES


def test_a_message_has_the_action_and_the_reason():
    assert Result("failed", "no", None, "new_users").message == "failed: new_users: no"
    assert Result("succeeded", "", None, "new_users").message == "succeeded: new_users"


@pytest.mark.parametrize("secret", ["s3cret", "s3:cret", "s3@cret", "päss/word", "a@b@c"])
@pytest.mark.parametrize(
    "text",
    [
        "cannot reach postgresql://ann:{}@db.example.org/school: no route",
        "cannot reach https://ann:{}@example.org/x and then mail bob@example.org",
    ],
)
def test_a_password_in_a_url_is_hidden(secret, text):
    said = reason_of(RuntimeError(text.format(secret)))
    assert secret not in said
    assert secret.rpartition("@")[2] + "@" not in said
    assert "ann:***@" in said
    assert "example.org" in said


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://db/school?user=ann&password=s3cret&sslmode=require",
        "host=db user=ann password=s3cret port=5432",
        "host=db password='s3cret' port=5432",
        'host=db PASSWORD="s3cret" port=5432',
        "host=db password='a s3cret' port=5432",
        "DRIVER=x;UID=ann;PWD=s3cret;PORT=5432",
    ],
)
def test_a_password_in_a_query_or_in_connection_settings_is_hidden(text):
    said = reason_of(ValueError(text))
    assert "s3cret" not in said
    assert "ann" in said or "db" in said
    assert "***" in said


def test_of_a_database_error_only_its_primary_message_is_kept():
    original = DatabaseError('duplicate key value violates unique constraint "users_email_key"')
    for error in (original, WrapperError(original)):
        said = reason_of(error)
        assert said == 'DatabaseError: duplicate key value violates unique constraint "users_email_key"'


def test_a_value_that_the_database_could_not_read_is_hidden():
    said = reason_of(DatabaseError('invalid input syntax for type integer: "ann@example.org"', sqlstate="22P02"))
    assert "ann@example.org" not in said
    assert "invalid input syntax for type integer" in said


def test_an_exception_without_words_is_named():
    assert reason_of(KeyError()) == "KeyError"
    assert reason_of(RuntimeError("the server said no")) == "RuntimeError: the server said no"


def test_an_exception_does_not_show_in_the_repr_of_a_result():
    assert "s3cret" not in repr(Result("failed", "no", error=RuntimeError("s3cret")))
