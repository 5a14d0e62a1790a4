"""Makes each fault, sees its alert fire, fixes the fault, and sees the alert end. Arguments: URL of Prometheus, pid of the exporter."""
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import yaml

PROMETHEUS, EXPORTER_PID = sys.argv[1], int(sys.argv[2])
PATIENCE = 30
began = time.monotonic()
passed = failed = 0


def check(ok, what, detail=""):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
    print(("ok      " if ok else "FAILED  ") + what + (f": {detail}" if detail and not ok else ""), flush=True)


def sql(statement, role="shop"):
    run = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", role, "-c", statement], capture_output=True, text=True)
    return run.stdout.strip() if run.returncode == 0 else "ERROR " + run.stderr.strip()


def ask(path, **parameters):
    with urllib.request.urlopen(f"{PROMETHEUS}/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:
        return json.load(answer)["data"]


def firing():
    """Returns the alerts that fire now, as (name, project or fault or '')."""
    return {(a["labels"]["alertname"], a["labels"].get("project", a["labels"].get("fault", "")))
            for a in ask("alerts")["alerts"] if a["state"] == "firing"}


def until(condition, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.2)
    return False


seen = set()


def fault(alert, make, fix, label="default"):
    """Checks that only `alert` fires after `make`, for project `label` or, with "both", for both, and that `fix` ends it."""
    wanted = {(alert, name) for name in (("default", "second") if label == "both" else (label,))}
    answer = sql(make)
    if answer.startswith("ERROR"):
        check(False, f"{alert}: make", answer)
        return
    fires = until(lambda: wanted <= firing())
    now = firing()
    check(fires, f"{alert} fires", f"{now}; " + sql("SELECT * FROM cc_health()"))
    check(now <= wanted, f"{alert} fires alone", now)
    if fires:
        seen.add(alert)
        summary = next(a["annotations"]["summary"] for a in ask("alerts")["alerts"] if a["labels"]["alertname"] == alert)
        check("<no value>" not in summary and (label in ("", "both") or label in summary), f"{alert} names its subject", summary)
        for number, expression in enumerate(dashboard):
            if number not in shown and ask("query", query=expression)["result"]:
                shown.add(number)
    answer = sql(fix)
    if answer.startswith("ERROR"):
        check(False, f"{alert}: fix", answer)
    check(until(lambda: not firing()), f"{alert} clears", f"{firing()}; " + sql("SELECT * FROM cc_health()"))


board = json.load(open("monitoring/grafana-dashboard.json"))
dashboard = [target["expr"].replace("$project", ".*") for panel in board["panels"] for target in panel["targets"]]
shown = set()

check(until(lambda: ask("query", query="sql_cc_health")["result"] != []), "the exporter delivers")
check(until(lambda: all(t["health"] == "up" for t in ask("targets")["activeTargets"])), "Prometheus reads it")
check(until(lambda: not firing()), "no fault fires nothing", firing())

# The monitoring role can read health only
for statement in ("SELECT body FROM cc_inbox", "SELECT secret FROM cc_project", "SELECT * FROM cc_invoice",
    "SELECT * FROM cc_timeline('FIRST')",
                  "SELECT cc_apply()", "SELECT * FROM cc_health_rows('1 hour')", "SELECT paid_at FROM orders"):
    check("permission denied" in sql(statement, "prometheus"), f"the monitoring role is refused: {statement}", sql(statement, "prometheus"))
check(sql("SELECT count(*) FROM cc_health()", "prometheus") == "3", "the monitoring role may call cc_health")

fault("OrderTriggerIsBroken", "ALTER TABLE orders RENAME TO bills; SELECT deliver('A')",
    "ALTER TABLE bills RENAME TO orders; SELECT cc_apply()")
fault("OrderTriggerIsBroken", "ALTER TABLE cc_invoice DISABLE TRIGGER mark", "ALTER TABLE cc_invoice ENABLE TRIGGER mark", label="both")
fault("PostbacksConflict", "SELECT deliver('FIRST', order_id => 'ANOTHER')",
    "SELECT cc_accept(id, reassign => true) FROM cc_inbox WHERE state = 'conflict'")
fault("PostbacksWait", "UPDATE cc_project SET apply = 'deferred' WHERE name = 'default'; SELECT deliver('P'); "
      "UPDATE cc_inbox SET received_at = received_at - interval '6 minutes' WHERE state = 'pending'",
      "UPDATE cc_project SET apply = 'immediate' WHERE name = 'default'; SELECT cc_apply()")
# A rotated key: the postbacks so far arrived within 100 seconds, the last one a minute ago
fault("PostbackSecretIsWrong",
      "SELECT deliver('S' || n) FROM generate_series(1, 100) AS n; "
      "UPDATE cc_inbox SET received_at = now() - interval '160 seconds'"
      " + substr(invoice_id, 2)::integer * interval '1 second' WHERE invoice_id ~ '^S\\d'; "
      "UPDATE cc_inbox SET received_at = now() - interval '200 seconds' WHERE invoice_id !~ '^S\\d' AND project = 'default'; "
      "SELECT deliver('T' || n, 'the new key') FROM generate_series(1, 10) AS n",
      "UPDATE cc_project SET secret = 'the new key' WHERE name = 'default'; SELECT * FROM cc_reverify('default')")
sql("SELECT deliver('forged' || n, 'forged') FROM generate_series(1, 100) AS n; SELECT deliver('genuine', 'the new key')")
bad = 'max(sql_cc_health{col="bad_signatures"}) == 100'
check(until(lambda: ask("query", query=bad)["result"]) and not until(firing, 3), "forgeries among genuine ones fire nothing", firing())
sql("DELETE FROM cc_inbox WHERE state = 'rejected'")
fault("PostbackClockIsWrong",
      "UPDATE cc_inbox SET received_at = received_at - interval '200 seconds'"
      " WHERE project = 'default' AND received_at > now() - interval '200 seconds'; "
      "SELECT deliver('V' || n, 'the new key', expires_at => now() - interval '1 minute') FROM generate_series(1, 10) AS n",
      "SELECT * FROM cc_reverify('default', leeway => '10 minutes')")
fault("PostbacksAreSilent", "UPDATE cc_inbox SET received_at = received_at - interval '90 minutes' WHERE project = 'default'",
    "SELECT deliver('X', 'the new key')")
# Without its trigger, cc_project accepts one secret for two projects
fault("ProjectsShareASecret", "ALTER TABLE cc_project DISABLE TRIGGER cc_project_check; "
      "UPDATE cc_project SET previous_secret = 'TOPSECRET', previous_secret_until = 'infinity' WHERE name = 'default'; "
      "ALTER TABLE cc_project ENABLE TRIGGER cc_project_check",
      "UPDATE cc_project SET previous_secret = NULL WHERE name = 'default'", label="both")
fault("PostbacksAreNotReceived", "ALTER TABLE cc_inbox DISABLE TRIGGER cc_inbox_insert",
    "ALTER TABLE cc_inbox ENABLE TRIGGER cc_inbox_insert", label="trigger")
fault("PostbackTablesAreSlow", "DROP INDEX cc_inbox_content", "SELECT cc_setup()", label="")
fault("TestPaymentsPay", "UPDATE cc_project SET accept_test_payments = true WHERE name = 'second'",
      "UPDATE cc_project SET accept_test_payments = false WHERE name = 'second'", label="second")
fault("PostbacksForNobody", "SELECT deliver('Y', project => 'typo')", "DELETE FROM cc_inbox WHERE reason = 'unknown_project'", label="")

# Every query of the dashboard works, and has shown data in one of these faults
for number, expression in enumerate(dashboard):
    answer = ask("query", query=expression)
    check(bool(answer["result"]) or number in shown, f"dashboard: {expression}", answer)
names = set(re.findall(r"\b(?:sql_(?:cc|exporter)_\w+|up|ALERTS)\b", " ".join(dashboard)))
check(all(name in set(ask("label/__name__/values")) for name in names), "the dashboard asks for metrics that there are", names)

# First the database is unavailable, then the exporter
sql("ALTER ROLE prometheus NOLOGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'prometheus'", "postgres")
check(until(lambda: any(name == "PostbackHealthIsUnknown" for name, _ in firing())), "PostbackHealthIsUnknown fires without the database",
    firing())
sql("ALTER ROLE prometheus LOGIN", "postgres")
check(until(lambda: not firing()), "PostbackHealthIsUnknown clears", firing())
os.kill(EXPORTER_PID, signal.SIGSTOP)
check(until(lambda: any(name == "PostbackHealthIsUnknown" for name, _ in firing())), "PostbackHealthIsUnknown fires without the exporter",
    firing())
os.kill(EXPORTER_PID, signal.SIGCONT)
check(until(lambda: not firing()), "PostbackHealthIsUnknown clears", firing())
seen.add("PostbackHealthIsUnknown")

rules = {rule["alert"] for group in yaml.safe_load(open("monitoring/cryptocloud_postback.rules.yml"))["groups"] for rule in group["rules"]}
check(rules == seen, "each alert was seen", rules ^ seen)
print(f"{time.monotonic() - began:.0f} s")
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
