"""A stand-in for ThoughtSpot: a local HTTP server that speaks the documented session, user and group calls.

It keeps users and groups in memory, and knows nothing of ThoughtSpot beside these calls. What it refuses, it
refuses with statuses and errors made up after the documentation.
"""

from __future__ import annotations

import email.parser
import email.policy
import json
import ssl
import threading
import urllib.parse
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

API = "/callosum/v1/tspublic/v1"
PASSWORD = "s3cret/ü\"'"


class ThoughtSpotServer:
    """Starts at ``with``, and ends with it.

    ``faults`` is what happens instead of the next answers: a status, a status with headers and perhaps a body, a text
    or bytes to answer with, ``"drop"`` for a connection that breaks, ``"hang"`` for no answer until the end,
    ``"expire"`` for a session that has ended, or None for nothing special. ``calls`` are the paths that were asked for,
    ``syncs`` the fields of those calls that were carried out, and ``logins`` those of the attempts to log in.
    """

    def __init__(self, *, certificate=None):
        self.users, self.groups = {}, {}
        self.privileges = {}  # of groups, by their names in lower case
        self.faults = deque()
        self.calls, self.syncs, self.logins = [], [], []
        self.sessions = set()
        self.lists_unchanged = True
        self.ended = threading.Event()
        self._numbers = count(1)
        handler = type("Handler", (_Handler,), {"stand_in": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        scheme = "http"
        if certificate is not None:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._server.handle_error = lambda request, client: None  # a client that hangs up is what is tested
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def log_in(self, fields):
        self.logins.append(fields)
        if fields.get("username") != "tsadmin" or fields.get("password") != PASSWORD:
            return None
        session = f"session-{next(self._numbers)}"
        self.sessions.add(session)
        return session

    def listed(self):
        """Return all users and groups, with more than they were given, and without passwords."""
        held = [*self.users.values(), *self.groups.values()]
        more = {"mail": "", "password": "", "privileges": [], "complete": True}
        return [{**more, **one, "password": None, "id": f"guid-{one['name']}"} for one in held]

    def listed_groups(self):
        """Return all groups with their privileges."""
        return [
            {"header": {"id": f"guid-{one['name']}", "name": one["name"]}, "privileges": self.privileges.get(key, [])}
            for key, one in self.groups.items()
        ]

    def change_privilege(self, verb, fields):
        """Return a status and an answer."""
        keys = [name.lower() for name in json.loads(fields["groupNames"])]
        if strangers := [key for key in keys if key not in self.groups]:
            return 400, {"debug": f"no such groups: {', '.join(strangers)}"}
        for key in keys:
            held = set(self.privileges.get(key, ()))
            changed = held | {fields["privilege"]} if verb == "add" else held - {fields["privilege"]}
            self.privileges[key] = sorted(changed)
        return 204, b""

    def sync(self, fields):
        """Return a status and an answer."""
        principals = json.loads(fields["principals"])
        wanted = {
            branch: {one["name"].lower(): one for one in principals if one["principalTypeEnum"] == kind}
            for branch, kind in (("users", "LOCAL_USER"), ("groups", "LOCAL_GROUP"))
        }
        known = wanted["groups"].keys() | self.groups.keys() | {"all"}
        strangers = sorted({g for one in principals for g in one["groupNames"] if g.lower() not in known})
        if strangers:
            return 400, {"type": "ERROR", "code": 10005, "debug": f"no such groups: {', '.join(strangers)}; {fields}"}
        self.syncs.append({**fields, "principals": principals})
        answer = {}
        for branch, held in (("users", self.users), ("groups", self.groups)):
            fates = {"Added": [], "Updated": [], "Unchanged": [], "Deleted": []}
            for key, one in wanted[branch].items():
                fate = "Added" if key not in held else "Unchanged" if held[key] == one else "Updated"
                fates[fate].append(one["name"])
            if fields["removeDeleted"] == "true":
                fates["Deleted"] = [held[key]["name"] for key in held if key not in wanted[branch]]
            if fields["applyChanges"] == "true":
                for name in fates["Deleted"]:
                    del held[name.lower()]
                held.update(wanted[branch])
            if not self.lists_unchanged:
                del fates["Unchanged"]
            answer |= {branch + fate: names for fate, names in fates.items()}
        return 200, answer


_CALLS = ("/user/sync", "/user/list", "/group", "/group/addprivilege", "/group/removeprivilege")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer goes out in one piece, so that nobody waits for the rest of it
    stand_in: ThoughtSpotServer

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.do_POST()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.stand_in.calls.append(self.path.removeprefix(API))
        assert self.headers["X-Requested-By"] == "ThoughtSpot"
        fault = self.stand_in.faults.popleft() if self.stand_in.faults else None
        if fault == "drop":
            self.close_connection = True
        elif fault == "hang":
            self.stand_in.ended.wait()
            self.close_connection = True
        elif isinstance(fault, int):
            self.answer(fault, {"debug": f"made up {fault}"})
        elif isinstance(fault, tuple):
            self.answer(fault[0], *(fault[2:] or ({},)), **fault[1])
        elif isinstance(fault, (str, bytes)) and fault != "expire":
            self.answer(200, fault)
        else:
            if fault == "expire":
                self.stand_in.sessions.clear()
            self.respond(body)

    def respond(self, body):
        if self.path == f"{API}/session/login":
            fields = dict(urllib.parse.parse_qsl(body.decode()))
            session = self.stand_in.log_in(fields)
            if session is None:
                self.answer(401, {"debug": f"wrong credentials: {fields}"})
            else:
                self.answer(204, b"", **{"Set-Cookie": f"JSESSIONID={session}; Path=/; HttpOnly"})
        elif self.path.removeprefix(API) not in _CALLS:
            self.answer(404, {})
        elif self.headers.get("Cookie", "").partition("=")[2] not in self.stand_in.sessions:
            self.answer(401, {"debug": "no session"})
        elif self.command == "GET":
            listed = self.stand_in.listed if self.path.endswith("/user/list") else self.stand_in.listed_groups
            self.answer(200, listed())
        elif self.path.endswith("privilege"):
            verb = "add" if self.path.endswith("/addprivilege") else "remove"
            fields = dict(urllib.parse.parse_qsl(body.decode()))
            self.answer(*self.stand_in.change_privilege(verb, fields))
        else:
            self.answer(*self.stand_in.sync(_multipart(self.headers["Content-Type"], body)))

    def answer(self, status, content, **headers):
        body = content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else None
        body = json.dumps(content).encode() if body is None else body
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _multipart(content_type, body):
    """Return the fields of a form as texts (RFC 7578)."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode()
        for part in message.iter_parts()
    }
