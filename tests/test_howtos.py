"""The how-tos of docs/howto run as they stand, on what they need: databases, and servers in threads of this process."""

import contextlib
import json
import runpy
import sys
import threading
import types
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from mail_server import MailServer
from pages import blocks_of, run_blocks

ROOT = Path(__file__).resolve().parent.parent
HOWTOS = ROOT / "docs" / "howto"


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Run a page in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("howto_document")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def run(name):
        path = HOWTOS / name
        run_blocks(blocks_of(path.read_text(encoding="utf-8")), path, vars(module))

    return run


class AccountService(BaseHTTPRequestHandler):
    """Holds accounts, and refuses each change with 429 at first."""

    def do_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or "null")
        accounts, key = self.server.accounts, self.path.rpartition("/")[2]
        if self.command != "GET" and (self.command, key) not in self.server.refused:
            self.server.refused.append((self.command, key))
            self._answer(429, None, {"Retry-After": "0"})
        elif self.command == "GET" and "?page=" in self.path:
            number = int(self.path.rpartition("=")[2])
            rows = list(accounts.values())[number - 1 : number]
            self._answer(200, {"accounts": rows, "next": number + 1 if number < len(accounts) else None})
        elif self.command == "GET":
            self._answer(200 if key in accounts else 404, accounts.get(key))
        elif self.command == "DELETE":
            self._answer(200, accounts.pop(key))
        else:
            self._answer(200, accounts.setdefault(key, {"id": key}).update(body))

    do_GET = do_PUT = do_PATCH = do_DELETE = do_any  # noqa: N815 - the names that http.server calls

    def _answer(self, status, value, headers=types.MappingProxyType({})):
        content = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        """Print nothing."""


@contextlib.contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("name", ["csv.md", "databases.md", "excel.md", "index.md", "moodle-canvas.md", "school.md"])
def test_without_a_server(page, name):
    page(name)


def test_a_csv_file_and_a_table_of_postgresql(page, database, execute, monkeypatch):
    monkeypatch.setenv("SCHOOL", database.replace("postgresql+psycopg://", "postgresql://"))
    page("csv-postgresql.md")
    rows = execute(database, "select id, name, cast(born as text) from people order by id")
    assert rows == [(1, "Ann", "2010-05-02"), (2, "Bob", None), (3, "Cid", "2011-12-24")]


def test_a_rest_interface_that_refuses_now_and_then(page, monkeypatch):
    stamina = pytest.importorskip("stamina")
    stamina.instrumentation.set_on_retry_hooks(())
    try:
        with serving(ThreadingHTTPServer(("127.0.0.1", 0), AccountService)) as server:
            server.refused = []
            server.accounts = {"1": {"id": "1", "name": "Ann"}, "4": {"id": "4", "name": "Dan"}}
            monkeypatch.setenv("ACCOUNTS_URL", f"http://127.0.0.1:{server.server_port}")
            page("rest.md")
        assert server.accounts == {"1": {"id": "1", "name": "Anna"}, "2": {"id": "2", "name": "Bob"}}
        assert server.refused == [("PUT", "2"), ("PATCH", "1"), ("DELETE", "4")]
    finally:
        stamina.instrumentation.set_on_retry_hooks(None)


class NetworkService(BaseHTTPRequestHandler):
    """Stands in for NetBox: lists of one row a page, and what a row refers to as a dictionary."""

    def do_any(self):
        kind, key = (*self.path.split("/")[3:], "")[:2]
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
        if "status" in body:
            body["status"] = {"value": body["status"]}
        rows = self.server.rows[kind]
        answer = None
        if self.command == "GET":
            start = int(self.path.rpartition("offset=")[2]) if "offset=" in self.path else 0
            following = f"{self.server.url}/api/dcim/{kind}/?limit=1&offset={start + 1}"
            answer = {"results": rows[start : start + 1], "next": following if start + 1 < len(rows) else None}
        elif self.command == "POST":
            rows.append({"id": 100 + len(rows), **body})
        else:
            (row,) = (row for row in rows if str(row["id"]) == key)
            rows.remove(row) if self.command == "DELETE" else row.update(body)
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = do_any  # noqa: N815 - the names that http.server calls

    def log_message(self, *arguments):
        """Print nothing."""


def test_a_hierarchy_in_a_service_like_netbox(page, monkeypatch):
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), NetworkService)) as server:
        server.url = f"http://127.0.0.1:{server.server_port}"
        active, router = {"value": "active"}, {"name": "router"}
        server.rows = {
            "sites": [{"id": 1, "name": "nyc", "status": active}, {"id": 2, "name": "rdu", "status": active}],
            "devices": [
                {"id": 1, "name": "rtr-1", "site": {"name": "nyc"}, "role": router},
                {"id": 2, "name": "rtr-9", "site": {"name": "rdu"}, "role": router},
            ],
            "interfaces": [{"id": 1, "name": "e0", "device": {"name": "rtr-1"}, "speed": 1000}],
        }
        monkeypatch.setenv("NETBOX_URL", server.url)
        monkeypatch.setenv("NETBOX_TOKEN", "secret")
        page("netbox.md")
    names = {kind: sorted(row["name"] for row in rows) for kind, rows in server.rows.items()}
    assert names == {"sites": ["nyc", "sfo"], "devices": ["rtr-1", "rtr-3"], "interfaces": ["e0", "e0", "e1"]}


@pytest.mark.slow
def test_scim_against_a_server_of_others(page, monkeypatch):
    pytest.importorskip("scim2_server")
    from scim2_server.memory import InMemoryStorage
    from scim2_server.testserver.application import BearerTokenApplication
    from scim2_server.utils import load_default_provider

    storage = InMemoryStorage()
    application = BearerTokenApplication(storage, load_default_provider(), bearer_tokens=["secret"])
    with serving(make_server("127.0.0.1", 0, application, handler_class=QuietHandler)) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        for name, active in (("Ann Old", True), ("Dan Dean", True), ("Fay Back", False)):
            body = {"userName": f"{name[:3].lower()}@example.org", "displayName": name, "active": active}
            scim_users(url, {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], **body})
        monkeypatch.setenv("SCIM_URL", url)
        monkeypatch.setenv("SCIM_TOKEN", "secret")
        page("scim.md")
        users = scim_users(url)["Resources"]
    assert sorted((user["displayName"], user["active"]) for user in users) == [
        ("Ann New", True),
        ("Dan Dean", False),
        ("Eve Ekman", True),
        ("Fay Back", True),
    ]


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *arguments):
        """Print nothing."""


def scim_users(url, body=None):
    headers = {"Authorization": "Bearer secret", "Content-Type": "application/scim+json"}
    request = urllib.request.Request(f"{url}/Users", body and json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_ldap_in_memory(page, tmp_path, monkeypatch):
    pytest.importorskip("ldap3")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        page("ldap.md")
    finally:
        sys.modules.pop("directory", None)


def test_every_night_with_a_mail(page, monkeypatch, tmp_path):
    with MailServer() as server:
        monkeypatch.setenv("MAIL_SERVER", f"smtp+plain://localhost:{server.port}")
        page("nightly.md")
    done, refused, failed = [str(mail["Subject"]) for mail in server.mails]
    assert f"`{done}`" in (HOWTOS / "nightly.md").read_text(encoding="utf-8")
    assert refused.startswith("refused: ")
    assert failed.startswith("failed: export.people: ")
    assert "people.csv:3" in failed


def test_each_is_run_here_and_reached_from_the_list():
    tests = Path(__file__).read_text(encoding="utf-8")
    pages = {path.name for path in HOWTOS.glob("*.md")}
    assert [name for name in pages if f'"{name}"' not in tests] == []
    listed = (HOWTOS / "index.md").read_text(encoding="utf-8").splitlines()
    assert pages - {"index.md"} == {f"{line}.md" for line in listed if f"{line}.md" in pages}


def test_the_picture_is_what_a_terminal_shows_now():
    tool = runpy.run_path(str(ROOT / "tools" / "plan_picture.py"))
    assert tool["picture"](tool["plan"]()) == tool["PICTURE"].read_text(encoding="utf-8")
