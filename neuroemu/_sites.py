"""Tables of sites: what each tile, core or array of a placement holds, as aligned text."""

import numpy as np

from ._counts import aligned


def utilisation(sites) -> float:
    """Mean utilisation of the sites, 0 to 1; each counts as often as it is built."""
    return float(np.mean(np.repeat([site.utilisation for site in sites], copies(sites)))) if sites else 0.0


def copies(sites) -> list[int]:
    """How often each site is built."""
    return [site.details.get("copies", 1) for site in sites]


def site_table(sites) -> str:
    """One line a site: unit, layer, slices, utilisation and details."""
    keys = list(dict.fromkeys(key for site in sites for key in site.details))
    rows = [("unit", "layer", "rows", "columns", "used", *keys)]
    for site in sites:
        spans = (f"{site.rows[0]}:{site.rows[1]}", f"{site.columns[0]}:{site.columns[1]}")
        details = (_cell(site.details.get(key, "")) for key in keys)
        rows.append((str(site.unit), site.layer, *spans, f"{site.utilisation:.1%}", *details))
    return aligned(rows)


def layer_table(sites) -> str:
    """One line a layer: its units, rows and columns in all, the largest unit, and what of its units is in use."""
    rows = [("layer", "units", "rows", "columns", "largest unit", "used", "nonzero")]
    for name in dict.fromkeys(site.layer for site in sites):
        rows.append((name, *_summary([site for site in sites if site.layer == name])))
    known = any(row[-1] for row in rows[1:])
    return aligned(rows if known else [row[:-1] for row in rows])


def _summary(sites) -> tuple[str, ...]:
    """Cells of one layer."""
    sizes = [(site.rows[1] - site.rows[0], site.columns[1] - site.columns[0]) for site in sites]
    high, wide = max(sizes, key=lambda size: size[0] * size[1])
    extent = (str(max(site.rows[1] for site in sites)), str(max(site.columns[1] for site in sites)))
    nonzero = ""
    if all("nonzero weights" in site.details for site in sites):
        held = sum(site.details["nonzero weights"] for site in sites)
        nonzero = f"{held / sum(size[0] * size[1] for size in sizes):.1%}"
    units = f"{len(sites)} x {copies(sites)[0]}" if max(copies(sites)) > 1 else str(len(sites))
    return (units, *extent, f"{high}x{wide}", f"{utilisation(sites):.1%}", nonzero)


def _cell(value) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
