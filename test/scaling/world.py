"""The servers by their names in pg_service.conf, and postbacks to send."""
import os

import psycopg

# Projects enough for each of four partitions; a deferred one settles nothing before cc_apply().
PROJECTS = ["default", "second", "zwei Läden", *(f"shop-{n}" for n in range(13))]
DEFERRED = [f"later-{n}" for n in range(16)]
NAMES = dict(pair.split("=") for pair in os.environ["CC_SHARD_HOSTS"].split())  # by the folder of the socket


def connect(service, **options):
    return psycopg.connect(f"service={service}", autocommit=True, **options)


def rows(service, query, *arguments, **options):
    with connect(service, **options) as db:
        return db.execute(query, arguments).fetchall()


def value(service, query, *arguments, **options):
    return rows(service, query, *arguments, **options)[0][0]


def run(service, *statements, **options):
    with connect(service, **options) as db:
        for statement in statements:
            db.execute(statement)


def name_of(connection_string):
    return NAMES[connection_string.split()[0].removeprefix("host=")]


def placement(projects):
    """The shard of each project, by the router."""
    with connect("router") as db:
        return {project: name_of(db.execute("SELECT cc_shard_of(%s)", [project]).fetchone()[0]) for project in projects}


def partitions(projects, count):
    with connect("router") as db:
        return {project: db.execute("SELECT cc_partition(%s)", [project]).fetchone()[0] & (count - 1) for project in projects}


def secret_of(project):
    return f"secret of {project}"


def sample(project, invoice, service="warehouse", **more):
    """A body as the service would send it."""
    values = {"invoice_id": invoice, "order_id": f"ORDER-{invoice}", **more}
    named = "".join(f", {name} => %s" for name in values)
    return value(service, f"SELECT cc_sample_postback(%s, 'application/json'{named})", secret_of(project), *values.values()).encode()


def proxy():
    """What a proxy's connection is, at the router."""
    return connect("router", user="postback_proxy")


def deliver(db, project, body, content_type="application/json"):
    return db.execute("SELECT http_status, response FROM cc_receive(%b, %s, %s)", (body, content_type, project)).fetchone()
