# SPDX-License-Identifier: BSD-3-Clause
"""A PostgreSQL server of the test's own, with the filing database of conf/filing.sql.

Everything lies in one directory, the socket too; nothing listens on a network. The programs are
those of the directory ICP_POSTGRES, or the newest ones installed. The server refuses to run as root,
whose tests therefore run it as "nobody".
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from datetime import timedelta, timezone
from pathlib import Path

import psycopg2

from operator_tool import DEADLINE, wait_until

FILING = Path(__file__).resolve().parents[2] / "conf" / "filing.sql"
CHINA = timezone(timedelta(hours=8))
FEED = ["domain", "provider", "status", "number", "approved_at", "expires_at", "rectify_by",
        "licensed_addresses"]
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "jit": "off",
    "shared_buffers": "32MB",
    "max_connections": "40",
    # As different as can be from what the feed needs.
    "timezone": "America/St_Johns",
    "datestyle": "German",
}


def programs():
    given = os.environ.get("ICP_POSTGRES")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    assert given or found, "no PostgreSQL server is installed: see tools/get-postgres"
    return Path(given) if given else found[-1]


class Postgres:
    def __init__(self):
        self.directory = None
        self.data = None
        self.server = None
        self.databases = 0
        self.as_user = {}

    def make(self):
        """Makes the directory and a cluster in it; remove() is for what was made by half, too."""
        # A short path: that of the socket in it may have 107 octets at most.
        self.directory = Path(tempfile.mkdtemp(prefix="icpgate-pg-"))
        self.data = self.directory / "data"
        if os.geteuid() == 0:
            self.as_user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(self.directory, "nobody", "nogroup")
        subprocess.run([programs() / "initdb", "--pgdata", self.data, "--username=icpgate",
                        "--auth=trust", "--locale=C.UTF-8", "--encoding=UTF8", "--no-sync"],
                       check=True, capture_output=True, cwd=self.directory, **self.as_user)

    def conninfo(self, database="postgres", **more):
        settings = {"host": self.directory, "user": "icpgate", "dbname": database, **more}
        return " ".join(f"{key}={value}" for key, value in settings.items())

    def start(self):
        if self.directory is None:
            self.make()
        options = SETTINGS | {"unix_socket_directories": self.directory}
        with open(self.directory / "log", "ab") as log:
            self.server = subprocess.Popen(
                [programs() / "postgres", "-D", self.data,
                 *(word for key, value in options.items() for word in ("-c", f"{key}={value}"))],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory, **self.as_user)
        wait_until(self.answers, f"PostgreSQL answers, see {self.directory}/log")

    def answers(self):
        assert self.server.poll() is None, (self.directory / "log").read_text(encoding="utf-8")
        try:
            psycopg2.connect(self.conninfo()).close()
        except psycopg2.OperationalError:
            return False
        return True

    def stop(self, how=signal.SIGINT):
        """SIGINT ends all sessions and then the server, SIGQUIT does it as a crash would."""
        if self.server is not None:
            self.server.send_signal(how)
            self.server.wait(DEADLINE)
            self.server = None

    def remove(self):
        self.stop(signal.SIGQUIT)
        if self.directory is not None:
            shutil.rmtree(self.directory)

    def has_icu(self):
        with contextlib.closing(psycopg2.connect(self.conninfo())) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i')")
            return cursor.fetchone()[0]

    def database(self, options=""):
        """Makes a database with the filing schema and returns it."""
        self.databases += 1
        name = f"filings{self.databases}"
        with contextlib.closing(psycopg2.connect(self.conninfo())) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
        filings = Filings(self, name)
        filings.execute(FILING.read_text(encoding="utf-8"))
        return filings


class Filings:
    """The filing database as its applications use it: one session, a transaction each call."""

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.connections = []
        self.session = self.connect()

    def connect(self, isolation=None):
        connection = psycopg2.connect(self.conninfo())
        connection.set_session(isolation_level=isolation)
        self.connections.append(connection)
        return connection

    def reconnect(self):
        """After the server was stopped."""
        self.session = self.connect()

    def close(self):
        for connection in self.connections:
            connection.close()

    def conninfo(self, **more):
        return self.server.conninfo(self.name, **more)

    def execute(self, sql, *values):
        with self.session, self.session.cursor() as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else None

    def one(self, sql, *values):
        return self.execute(sql, *values)[0][0]

    @contextlib.contextmanager
    def held(self, load):
        """load(conninfo) in a thread, which waits where the sequence has been read, until the block
        ends. Yields a list, which what the call returns is put into."""
        self.execute("CREATE SCHEMA slow; CREATE VIEW slow.icpgate_sequence AS SELECT s.* FROM"
                     " (SELECT pg_advisory_lock_shared(1) OFFSET 0) waits CROSS JOIN LATERAL"
                     " (SELECT * FROM public.icpgate_sequence WHERE waits IS NOT NULL) s")
        holder = self.connect().cursor()
        holder.execute("SELECT pg_advisory_lock(1)")
        conninfo = self.conninfo(options="-csearch_path=slow,public")
        results = []
        loader = threading.Thread(target=lambda: results.append(load(conninfo)))
        loader.start()
        try:
            wait_until(lambda: self.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                                        " AND NOT granted"), "the sequence is read")
            yield results
        finally:
            holder.execute("SELECT pg_advisory_unlock(1)")
            loader.join()

    def feed(self):
        """The rows of the view, in the order of a dump but for that of the names."""
        rows = self.execute(f"SELECT {', '.join(FEED)} FROM icpgate_feed")
        return sorted([value or "" for value in row] for row in rows)

    def sequence(self):
        return self.one("SELECT sequence FROM icpgate_sequence")

    def changes(self, after=0):
        """(sequence, op, domain, provider, status) of each change, in order."""
        return self.execute("SELECT sequence, op, domain, provider, status FROM icpgate_changes"
                            " WHERE sequence > %s ORDER BY sequence, op, domain, provider", after)

    def provider(self, *names):
        for name in names:
            self.execute("INSERT INTO filing.provider VALUES (%s, %s)", name, name.upper())

    def site(self, *domains, number="京ICP备11018762号", ordinal=1):
        """A site with a new entity, if there is none of this number; returns its id."""
        with self.session, self.session.cursor() as cursor:
            cursor.execute("INSERT INTO filing.entity (name, number) VALUES ('例', %s)"
                           " ON CONFLICT (number) DO UPDATE SET name = excluded.name"
                           " RETURNING entity_id", [number])
            cursor.execute("INSERT INTO filing.site (entity_id, ordinal, name)"
                           " VALUES (%s, %s, '站') RETURNING site_id",
                           [cursor.fetchone()[0], ordinal])
            site = cursor.fetchone()[0]
            for domain in domains:
                cursor.execute("INSERT INTO filing.site_domain VALUES (%s, %s)", [domain, site])
        return site

    def filed(self, *domains, provider="qcloud", **options):
        """A site that is filed through a provider; returns its id."""
        site = self.site(*domains, **options)
        self.execute("INSERT INTO filing.access VALUES (%s, %s, '2023-05-06 00:00+08')", site,
                     provider)
        return site

    def apply(self, site, provider, kind):
        """An application of this kind; returns its id."""
        self.execute("INSERT INTO filing.access VALUES (%s, %s) ON CONFLICT DO NOTHING", site,
                     provider)
        return self.one("INSERT INTO filing.application (site_id, provider, kind)"
                        " VALUES (%s, %s, %s) RETURNING application_id", site, provider, kind)

    def decide(self, application, state, **columns):
        settings = {"state": state, **columns}
        self.execute(f"UPDATE filing.application SET {', '.join(f'{key} = %s' for key in settings)}"
                     " WHERE application_id = %s", *settings.values(), application)
