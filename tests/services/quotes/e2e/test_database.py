"""The chart with a PostgreSQL: what was acknowledged is kept, and updates over a migration lose no call.

The tests run in their order, on one release.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from app.core.name import NAME
from tests.docs.pages import Page
from tests.e2e.calling import HEADLESS, PYTHON, Call, Client, Pod, failed, summary
from tests.e2e.cluster import RELEASE, Namespace, ready, run
from tests.e2e.plugin import Measured
from tests.services.quotes.e2e.images import build
from tests.services.quotes.e2e.keeping import ADDS, GETS
from tests.services.quotes.e2e.postgres import DATABASE, HOST, PORT, Postgres, build_postgres
from tests.support.chart import CHART
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(240, func_only=True)

NEXT = f"localhost/{NAME}-next:e2e"
NEXT_IMAGE = ("--set-string", f"image.repository={NEXT.partition(':')[0]},image.tag=e2e")
# What undoes its migration, in whatever state another test has left the schema.
WITHOUT_NEXT = """
DROP TABLE IF EXISTS quote_sources;
ALTER TABLE quotes DROP COLUMN IF EXISTS added_at;
DELETE FROM schema_migrations WHERE number = 2;
"""
PASSWORD = "a @:/?#%20\\\"'`$(id) word"  # noqa: S105 - of the test's database
VALUES = (
    *("--set", "auth.mode=none,database.existingSecret=server,database.migrate.existingSecret=owner"),
    *("--set", "networkPolicy.enabled=true"),
    # Shorter drains, since the only client is this project's.
    *("--set", "drain.clientLookupSeconds=1,maxConnectionAgeSeconds=2,readinessProbe.periodSeconds=1"),
)
KEEPING = Client(
    "own",
    (PYTHON, "/clients/keeping.py", HEADLESS, "/clients/calls"),
    {"AddQuotes": ADDS * 8, "GetQuote": GETS * 8},
    announces=True,
)


@pytest.fixture(scope="module", autouse=True)
def images(namespace: Namespace, load_image: Callable[[str], None]) -> None:
    """That of PostgreSQL, and that of a later release."""

    def later() -> None:
        folder = Path(__file__).with_name("next_release")
        build(NEXT, folder, namespace.cluster.env, IMAGE=namespace.cluster.image)
        load_image(NEXT)

    with ThreadPoolExecutor() as pool:
        for one in (pool.submit(build_postgres, namespace, load_image), pool.submit(later)):
            one.result()


@pytest.fixture(scope="module")
def postgres(namespace: Namespace, images: None) -> Postgres:  # noqa: ARG001 - they are loaded first
    """With the roles of the page, and a Secret for each: one in parts, one with a URL."""
    server = Postgres(namespace)
    roles = Page("docs/database.md").section("### Roles").split("```")[1].removeprefix("sql\n")
    quoted = PASSWORD.replace("'", "''")
    server.run(roles.replace("change-me-too", quoted).replace("change-me", "owner"))
    parts = {"host": HOST, "port": PORT, "user": "server", "password": PASSWORD, "dbname": DATABASE}
    secret(namespace, "server", parts)
    secret(namespace, "owner", {"uri": f"postgresql://migrator:owner@{HOST}:{PORT}/{DATABASE}"})
    return server


@pytest.fixture(scope="module")
def released(namespace: Namespace, postgres: Postgres) -> Namespace:
    assert postgres.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == ["0"]
    namespace.install(RELEASE, *VALUES)
    return namespace


@pytest.fixture(scope="module")
def clients(released: Namespace) -> Pod:
    pod = Pod(released, {})
    pod.put(Path(__file__).with_name("keeping.py"))
    return pod


@pytest.fixture
def calls(postgres: Postgres) -> Iterator[list[Call]]:
    """Outcomes of calls. Afterwards the database has all that was acknowledged, and no stream in part."""
    found: list[Call] = []
    yield found
    kept = set(postgres.run("SELECT text FROM quotes"))
    added = [call.text for call in found if call.method == "AddQuotes" and call.code == "OK"]
    assert added
    assert {f"{name} {half}" for name in added for half in "ab"} <= kept
    halves = [text.rpartition(" ") for text in kept if text.endswith((" a", " b")) and text[0].isdigit()]
    assert {name for name, _, half in halves if half == "a"} == {
        name for name, _, half in halves if half == "b"
    }


def secret(namespace: Namespace, name: str, data: dict[str, str]) -> None:
    found = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
    namespace.kubectl("apply", "--filename", "-", stdin=json.dumps(found))


def at_each(namespace: Namespace, *command: str, stdin: str | None = None) -> list[str]:
    """What this project's command prints at each pod, of its own server."""
    options = ["--stdin"] if stdin else []
    return [
        namespace.kubectl("exec", *options, name, "--", NAME, *command, stdin=stdin)
        for name in sorted(namespace.pod_names(RELEASE))
    ]


def upgraded(namespace: Namespace, *values: str) -> float:
    """Upgrades, and returns once the old pods have drained. Returns the seconds of the upgrade alone."""
    old, began = namespace.pod_names(RELEASE), time.monotonic()
    namespace.upgrade(RELEASE, *VALUES, *values)
    seconds = time.monotonic() - began
    namespace.gone(old)
    return seconds


def created(namespace: Namespace) -> float:
    """When the first of the pods was created, in seconds since the epoch."""
    stamps = [pod["metadata"]["creationTimestamp"] for pod in namespace.living(RELEASE)]
    return min(datetime.fromisoformat(stamp).timestamp() for stamp in stamps)


def applied(postgres: Postgres) -> list[float]:
    """When each migration was applied."""
    sql = "SELECT extract(epoch FROM applied_at) FROM schema_migrations ORDER BY number"
    return [float(line) for line in postgres.run(sql)]


def all_ready(namespace: Namespace) -> bool:
    return [ready(pod) for pod in namespace.living(RELEASE)] == [True, True]


def of(calls: Sequence[Call], method: str) -> list[Call]:
    return [call for call in calls if call.method == method]


def test_the_job_migrates_by_a_role_of_its_own_before_the_first_pod(
    released: Namespace, postgres: Postgres
) -> None:
    [first] = applied(postgres)
    assert first < created(released) + 1  # whole seconds
    assert postgres.run("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'") == [
        "migrator"
    ]
    assert set(
        postgres.run(
            "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'items' AND usename <> 'postgres'"
        )
    ) == {"server"}
    assert released.get("jobs")["items"] == []  # it succeeded, and helm uninstall would not delete it


def test_what_one_pod_stores_is_served_by_all_and_outlives_them(released: Namespace) -> None:
    [first, *_] = sorted(released.pod_names(RELEASE))
    released.kubectl("exec", "--stdin", first, "--", NAME, "add", stdin="Well begun is half done. ~ A Pod\n")
    expected = ["Well begun is half done. ~ A Pod\n"] * 2
    assert at_each(released, "list", "A Pod") == expected
    old = released.pod_names(RELEASE)
    released.kubectl("delete", "pods", *old, "--wait=false")
    until(lambda: all_ready(released) and not released.pod_names(RELEASE) & old, seconds=30)
    assert at_each(released, "list", "A Pod") == expected


def test_a_migration_that_fails_stops_the_upgrade_before_any_pod_is_replaced(
    released: Namespace, clients: Pod, postgres: Postgres, calls: list[Call], measured: Measured
) -> None:
    postgres.run("CREATE TABLE quote_sources (wrong int)")
    old = released.pod_names(RELEASE)
    with clients.calling(KEEPING) as made:
        chart = ("upgrade", RELEASE, str(CHART), "--reuse-values", "--wait", "--timeout", "60s")
        command = (*chart, *NEXT_IMAGE, "--set", "database.migrate.backoffLimit=0")
        done = run("helm", "--namespace", released.name, *command, env=released.cluster.env)
    calls += made
    assert done.returncode == 1
    assert "UPGRADE FAILED: pre-upgrade hooks failed" in done.stderr
    assert "BackoffLimitExceeded" in done.stderr
    [job] = released.get("jobs")["items"]
    log = released.kubectl("logs", f"job/{job['metadata']['name']}")
    assert "cannot migrate: " in log
    assert 'relation "quote_sources" already exists' in log
    assert released.pod_names(RELEASE) == old
    assert len(applied(postgres)) == 1
    postgres.run("DROP TABLE quote_sources")
    measured(f"an upgrade with a migration that fails: {summary(made)}")
    assert not failed(made), failed(made)[:20]


def test_updates_over_a_migration_lose_no_call_forward_and_back(
    released: Namespace, clients: Pod, postgres: Postgres, calls: list[Call], measured: Measured
) -> None:
    with clients.calling(KEEPING) as made:
        forward = upgraded(released, *NEXT_IMAGE)
        assert applied(postgres)[1] < created(released) + 1
        old = released.pod_names(RELEASE)
        revision = "1"  # the first one, whose program knows one migration less
        released.helm("rollback", RELEASE, revision, "--wait", "--timeout", "60s")
        released.gone(old)
    calls += made
    assert len(applied(postgres)) == 2
    measured(f"an update over a migration, which took {forward:.0f} s, and back: {summary(made)}")
    assert not failed(made), failed(made)[:20]


def test_a_changed_secret_is_used_without_a_restart_or_a_lost_call(
    released: Namespace, clients: Pod, postgres: Postgres, calls: list[Call], measured: Measured
) -> None:
    pods = released.pod_names(RELEASE)
    postgres.run("CREATE ROLE successor LOGIN PASSWORD 'next' IN ROLE server")
    with clients.calling(KEEPING) as made:
        parts = {"host": HOST, "port": PORT, "user": "successor", "password": "next", "dbname": DATABASE}
        secret(released, "server", parts)
        released.kubectl("annotate", "pods", *pods, "at=once")  # instead of within a minute
        users = "SELECT DISTINCT usename FROM pg_stat_activity WHERE usename IN ('server', 'successor')"
        until(lambda: postgres.run(users) == ["successor"], seconds=90)
        postgres.run("ALTER ROLE server NOLOGIN")
    calls += made
    assert released.pod_names(RELEASE) == pods
    assert set(released.restarts(RELEASE).values()) == {0}
    measured(f"a changed Secret: {summary(made)}")
    assert not failed(made), failed(made)[:20]


def outage(
    postgres: Postgres, clients: Pod, while_down: Callable[[], object]
) -> tuple[list[Call], float, float]:
    """Calls while the database is killed, and started after `while_down`; when it went, and returned."""
    with clients.calling(KEEPING) as made:
        down = clients.now()
        postgres.kill()
        while_down()
        postgres.start()
        up = clients.now()
        clients.run("sleep", "4")
    return made, down, up


def test_without_its_database_a_pod_leaves_the_balancer_and_is_not_restarted(
    released: Namespace, clients: Pod, postgres: Postgres, calls: list[Call], measured: Measured
) -> None:
    pods = released.pod_names(RELEASE)

    def while_down() -> None:
        until(lambda: not any(ready(pod) for pod in released.living(RELEASE)), seconds=20)

    made, down, up = outage(postgres, clients, while_down)
    calls += made
    until(lambda: all_ready(released), seconds=10)
    assert released.pod_names(RELEASE) == pods
    assert set(released.restarts(RELEASE).values()) == {0}
    lost = failed(made)
    recovered = max(call.ended for call in lost) - up
    measured(
        f"a database down for {up - down:.1f} s: {summary(made)}; the last {recovered:.1f} s after its return"
    )
    assert {call.code for call in lost} == {"UNAVAILABLE"}
    assert min(call.ended for call in lost) > down
    assert recovered < 3


def test_with_serve_reads_reads_go_on_and_each_pod_migrates_by_itself(
    released: Namespace, clients: Pod, postgres: Postgres, calls: list[Call], measured: Measured
) -> None:
    postgres.run(WITHOUT_NEXT)
    mode = "database.outage=serve-reads,database.migrate.mode=init-container"
    upgraded(released, *NEXT_IMAGE, "--set", mode)
    pods = released.pod_names(RELEASE)
    applying, other = sorted(released.kubectl("logs", name, "--container", "migrate") for name in pods)
    assert re.fullmatch(r"applied: \S+ 0002_sources\n", applying), applying
    assert other == "the schema is current\n"
    made, down, up = outage(postgres, clients, lambda: time.sleep(4))
    calls += made
    assert all_ready(released)
    assert set(released.restarts(RELEASE).values()) == {0}
    measured(f"serve-reads, a database down for {up - down:.1f} s: {summary(made)}")
    lost = failed(made)
    assert {(call.method, call.code) for call in lost} == {("AddQuotes", "UNAVAILABLE")}
    assert [call for call in of(made, "GetQuote") if down + 2 < call.began < up]
    assert max(call.ended for call in lost) < up + 2
