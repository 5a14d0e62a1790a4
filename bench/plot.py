"""The picture that README.md shows."""
import matplotlib
matplotlib.use("Agg")
from matplotlib import pyplot, ticker  # noqa: E402

OURS, OTHER, THIRD = "#0b6e99", "#8a8a8a", "#d17a22"


def _bytes(size, _=None):
    return f"{size / 2**20:g} MiB" if size >= 2**20 else f"{size / 1024:g} kB"


def _count(value, _=None):
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1e3:g} k"


def draw(curves, file, about):
    pyplot.rcParams.update({"svg.hashsalt": "benchmark", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
                            "axes.grid": True, "grid.color": "#e6e6e6", "lines.marker": "o", "lines.markersize": 3.5})
    figure, (by_size, by_clients, by_rows) = pyplot.subplots(1, 3, figsize=(12, 3.8), layout="constrained")

    data = curves["sizes"]
    for name, label, colour in (("cast", "body::jsonb", OTHER), ("json", "cc_verify_postback, JSON", OURS),
                                ("form", "cc_verify_postback, form", THIRD)):
        by_size.plot(data["size"], data[name], label=label, color=colour)
    by_size.set(xscale="log", yscale="log", title="Verifying, by size of the body", ylabel="CPU time, µs")
    by_size.xaxis.set_major_locator(ticker.FixedLocator(data["size"][::3] + [data["size"][-1]]))
    by_size.xaxis.set_minor_locator(ticker.NullLocator())
    by_size.xaxis.set_major_formatter(_bytes)
    by_size.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")

    data = curves["throughput"]
    for name, label, colour in (("plain", "plain insert, one primary key", OTHER), ("inbox", "cc_inbox, all guarantees", OURS),
                                ("hand", "written by hand in PL/pgSQL", THIRD)):
        by_clients.plot(data["clients"], data[name], label=label, color=colour)
    by_clients.set(title="Deliveries a second, by clients", xlabel="clients", ylim=(0, None), xscale="log")
    by_clients.xaxis.set_major_locator(ticker.FixedLocator(data["clients"]))
    by_clients.xaxis.set_minor_locator(ticker.NullLocator())
    by_clients.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    by_clients.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")

    data = curves["growth"]
    for name, label, colour in (("inbox", "a new invoice", OURS), ("resend", "a duplicate", THIRD),
                                ("plain", "plain insert, one primary key", OTHER)):
        by_rows.plot(data["rows"], data[name], label=label, color=colour)
    by_rows.set(title="A delivery, by rows in the tables", xlabel="invoices and inbox rows", ylabel="CPU time, µs",
                ylim=(0, None), xscale="log")
    by_rows.xaxis.set_major_locator(ticker.FixedLocator(data["rows"]))
    by_rows.xaxis.set_minor_locator(ticker.NullLocator())
    by_rows.xaxis.set_major_formatter(_count)

    for axes in (by_size, by_clients, by_rows):
        axes.legend(frameon=False, fontsize=8)
    figure.supxlabel(f"{about['machine']}; PostgreSQL {about['postgresql']}", fontsize=7, color=OTHER)
    figure.savefig(file, metadata={"Date": None})
