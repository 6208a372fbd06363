"""A template over a web service that takes 50 ms a call and answers 429 now and then: one call at a time, and several.

The service is a stand-in on this machine, made of the standard library; it counts what it did. It runs in a process of
its own, so that it does not wait for the client's interpreter.
"""

import argparse
import asyncio
import logging
import multiprocessing
import sys
import time

from common import ROOT, table, times

sys.path.insert(0, str(ROOT / "tests"))

from web_service import WebService, call

DELAY, REFUSE_EVERY, RETRY_AFTER = 0.05, 50, "0.5"


def serve(connection):
    """Serve until told to end; then tell how often each name was made, and how many calls were refused."""
    with WebService(DELAY, REFUSE_EVERY, RETRY_AFTER).running() as service:
        connection.send(service.port)
        connection.recv()
        connection.send((dict(service.made), service.refused))


def measure(actions, concurrency):
    """Return the seconds of a run, and how many calls were refused; check that each action was done once."""
    from datastoresync import Branch, Object, Retry, Template, Tree

    own, other = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(other,))
    server.start()
    port = own.recv()

    class Accounts(Template):
        retry = Retry()

        def new_users(self, action):
            asyncio.run(call(port, "POST", action.idnumber))

    class AwaitedAccounts(Template):
        retry = Retry()

        async def new_users(self, action):
            await call(port, "POST", action.idnumber)

    AwaitedAccounts.concurrency = concurrency
    names = [f"user{number:05}" for number in range(actions)]
    source = +Tree("source", branches={"users": Branch(Object, importer=[{"idnumber": name} for name in names])})
    dest = +Tree("dest", branches={"users": Branch(Object, importer=[])})
    begun = time.perf_counter()
    report = source - dest | (AwaitedAccounts if concurrency else Accounts)
    seconds = time.perf_counter() - begun
    own.send("end")
    made, refused = own.recv()
    server.join()
    if not report.ok or made != dict.fromkeys(names, 1):
        sys.exit(f"{report.stat}; {len(made)} were made, {sum(made.values()) - len(made)} of them again")
    return seconds, refused


def main():
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actions", type=int, default=1000, help="actions a run")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[8, 16, 32], help="calls in flight")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # stamina logs each repetition
    share = f"{1 / REFUSE_EVERY:.0%} of them refused for {RETRY_AFTER} s"
    print(f"{options.actions:,} actions, {DELAY * 1000:.0f} ms a call, {share}\n")
    alone, refused = measure(options.actions, 0)
    rows = [["plain methods, one call at a time", f"{alone:.1f}", times(alone, alone), refused]]
    for concurrency in options.concurrency:
        seconds, refused = measure(options.actions, concurrency)
        rows.append(
            [f"`async def`, `concurrency = {concurrency}`", f"{seconds:.1f}", f"{seconds / alone:.3f} ×", refused]
        )
    table(["", "s", "÷ one at a time", "refused calls"], rows)


if __name__ == "__main__":
    main()
