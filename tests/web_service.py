"""A stand-in for a web service, over HTTP and with the standard library alone, and a client that awaits its answers.

It takes its time for each call, answers 429 with ``Retry-After`` now and then, and may do what it was asked and drop
the connection instead of an answer. It doesn't check that a name is there already, as many don't.
"""

import asyncio
import threading
from collections import Counter
from contextlib import contextmanager


class RefusedError(Exception):
    """An answer that is no success, as HTTP libraries raise it: with the status and the headers."""

    def __init__(self, status, headers):
        super().__init__(f"status {status}")
        self.status = status
        self.headers = headers


class WebService:
    """What it holds, and what it was asked.

    Args:
        delay: Seconds a call.
        refuse_every: How many POSTs there are to one that is refused with 429; 0 for none.
        retry_after: What it says then, in seconds.
        lose: Names that are made, but whose caller hears nothing, once.
    """

    def __init__(self, delay=0.0, refuse_every=0, retry_after="0.02", lose=()):
        self.delay, self.refuse_every, self.retry_after, self.lose = delay, refuse_every, retry_after, set(lose)
        self.made = Counter()
        self.posts = self.refused = self.at_a_time = self.most = 0
        self.port = 0

    async def serve(self, reader, writer):
        """Answer the calls of one connection."""
        try:
            while line := await reader.readline():
                verb, path, _ = line.decode().split()
                while (await reader.readline()).strip():
                    pass
                self.at_a_time += 1
                self.most = max(self.most, self.at_a_time)
                await asyncio.sleep(self.delay)
                self.at_a_time -= 1
                status, headers = self.answer(verb, path.strip("/"))
                if not status:
                    break
                writer.write(f"HTTP/1.1 {status} .\r\nContent-Length: 0\r\n{headers}\r\n".encode())
                await writer.drain()
        finally:
            writer.close()

    def answer(self, verb, name):
        """Do what is asked; return the status and further headers, and no status to drop the connection."""
        if verb == "GET":
            return (200 if name in self.made else 404), ""
        self.posts += 1
        if self.refuse_every and self.posts % self.refuse_every == 0:
            self.refused += 1
            return 429, f"Retry-After: {self.retry_after}\r\n"
        self.made[name] += 1
        if name in self.lose:
            self.lose.discard(name)
            return 0, ""
        return 201, ""

    @contextmanager
    def running(self):
        """Serve in a thread of its own."""
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        thread = threading.Thread(target=loop.run_forever)
        thread.start()

        async def end():
            server.close()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(end(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


async def call(port, verb, name):
    """Make one call over a connection of its own; return the status.

    Raises:
        RefusedError: The answer is no success.
        ConnectionError: There is none.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{verb} /{name} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        line = await reader.readline()
        if not line:
            raise ConnectionResetError("no answer")
        headers = {}
        while header := (await reader.readline()).decode().strip():
            key, _, value = header.partition(": ")
            headers[key] = value
        status = int(line.split()[1])
        if status == 404 and verb == "GET":
            return status
        if status >= 400:
            raise RefusedError(status, headers)
        return status
    finally:
        writer.close()
