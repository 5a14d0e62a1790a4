"""The table of ratios: to the screen, as Markdown, and as JSON."""
import json
import os
import platform

SETTINGS = ("jit", "fsync", "synchronous_commit", "full_page_writes", "autovacuum", "shared_buffers", "max_wal_size",
            "max_parallel_workers_per_gather", "wal_level", "default_toast_compression")


def _first(file, key):
    with open(file, encoding="utf-8") as lines:
        return next((line.split(":" if ":" in line else "=", 1)[1].strip().strip('"') for line in lines if line.startswith(key)), "?")


def about(connection, scale):
    """Machine, versions, settings."""
    return {
        "machine": f"{_first('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores, "
                   f"{int(_first('/proc/meminfo', 'MemTotal').split()[0]) // 1024 // 1024 + 1} GiB",
        "system": f"{_first('/etc/os-release', 'PRETTY_NAME')}, Linux {platform.release().split('-')[0]}",
        "postgresql": connection.value("SHOW server_version"),
        "extension": connection.value("SELECT default_version FROM pg_available_extensions WHERE name = 'cryptocloud_postback'"),
        "commit": os.environ.get("BENCH_COMMIT", ""),
        "settings": {name: connection.value(f"SHOW {name}") for name in SETTINGS},
        "scale": scale,
    }


def _met(row):
    if row["target"] is None:
        return ""
    ratio = round(row["ratio"], 2)
    return "yes" if (ratio >= row["target"] if row["at_least"] else ratio <= row["target"]) else "NO"


def _cells(row):
    number = (lambda value: f"{value:,.0f}") if row["unit"] != "µs" else (lambda value: f"{value:.2f}")
    bound = "" if row["target"] is None else f"{'≥' if row['at_least'] else '≤'} {row['target']:.2f}"
    return (row["what"], f"{number(row['cost'])} {row['unit']}", row["against"], f"{number(row['base'])} {row['unit']}",
            f"{row['ratio']:.2f}", f"{row['low']:.2f}–{row['high']:.2f}", bound, _met(row))


TITLES = ("what", "cost", "against", "cost", "ratio", "middle half", "target", "met")


def row_text(row):
    cells = _cells(row)
    return f"{cells[0]} {cells[1]} / {cells[2]} {cells[3]} = {cells[4]} ({cells[5]}) {cells[6]} {cells[7]}"


def _table(rows):
    lines = [TITLES, *map(_cells, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(TITLES))]
    right = {1, 3, 4, 5, 6}

    def text(line):
        return "| " + " | ".join(cell.rjust(widths[i]) if i in right else cell.ljust(widths[i]) for i, cell in enumerate(line)) + " |"
    rule = "|" + "|".join("-" * (width + 1) + (":" if i in right else "-") for i, width in enumerate(widths)) + "|"
    return "\n".join([text(lines[0]), rule, *map(text, lines[1:])])


def write(folder, name, facts, rows, curves):
    settings = ", ".join(f"{key} = {value}" for key, value in facts["settings"].items())
    text = f"""{_table(rows)}

{facts['machine']}; {facts['system']}; PostgreSQL {facts['postgresql']}; cryptocloud_postback {facts['extension']}.
{settings}.
Costs are CPU time of the backend (where it says so, wall clock), less what reading the body takes. Each ratio is the median
of the ratios of {min((row["turns"] for row in rows if row["unit"] != "kB"), default=1)} turns or more, in each of which both sides were measured one after the other; of memory there is one.
"""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    (folder / f"{name}.json").write_text(json.dumps({**facts, "rows": [{**row, "met": _met(row)} for row in rows], "curves": curves},
                                                    indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\n{text}")
