# SPDX-License-Identifier: Apache-2.0
"""Drawings of the race as SVG, by hand: nothing is needed to make or to show them."""
import math
from xml.sax.saxutils import escape

COLOURS = {"meerkat": "#0b7a53", "ejabberd": "#3b5bb5", "prosody": "#c2681a"}
STYLE = "font-family: sans-serif; font-size: 12px; fill: #222"


def page(width, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}">\n<rect width="{width}" height="{height}" fill="white"/>\n'
            f'<g style="{STYLE}">\n' + "\n".join(parts) + "\n</g>\n</svg>\n")


def text(x, y, words, anchor="start", **style):
    extra = "".join(f' {k.replace("_", "-")}="{v}"' for k, v in style.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{escape(words)}</text>'


def line(x1, y1, x2, y2, colour, width=1.0, dash=""):
    dash = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"{dash}/>'


def dot(x, y, colour, radius=3.0, fill=None):
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill or colour}" stroke="{colour}"/>'


def short(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def median(values):
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def panel(x, y, width, title, more_is_better, found):
    """A bar to the median of each server's values, and a dot for each of them."""
    found = {name: values for name, values in found.items() if values}
    left, bar, gap = 70, 18, 8
    most = max(max(v) for v in found.values()) or 1
    parts = [text(x, y + 14, title, font_weight="bold"),
             text(x + width, y + 14, "more is better" if more_is_better else "less is better", "end", fill="#666")]
    for i, (name, values) in enumerate(found.items()):
        top = y + 24 + i * (bar + gap)
        scale = (width - left - 75) / most
        end = x + left + median(values) * scale
        parts.append(text(x + left - 6, top + 13, name, "end"))
        parts.append(f'<rect x="{x + left}" y="{top}" width="{max(end - x - left, 1):.1f}" height="{bar}" '
                     f'fill="{COLOURS[name]}" fill-opacity="0.75"/>')
        parts += [dot(x + left + v * scale, top + bar / 2, "#222", 2, "white") for v in values]
        parts.append(text(x + left + max(values) * scale + 8, top + 13, short(median(values))))
    return parts


def bars(path, panels):
    """PANELS: (title, whether more is better, {server: values}), drawn in two columns."""
    width, height, parts = 430, 118, []
    for i, what in enumerate(panels):
        parts += panel(10 + i % 2 * width, 10 + i // 2 * height, width - 20, *what)
    with open(path, "w") as f:
        f.write(page(2 * width + 10, 20 + (len(panels) + 1) // 2 * height, parts))


class Scale:
    """Logarithmic, from LOW to HIGH on FROM to TO pixels."""

    def __init__(self, low, high, start, end):
        self.low, self.high = math.log10(low), math.log10(high)
        self.start, self.end = start, end

    def at(self, value):
        return self.start + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.start)

    def decades(self):
        return [10.0 ** i for i in range(math.ceil(self.low), math.floor(self.high) + 1)]


def curves(path, title, points):
    """POINTS: {server: [(rate, p50, p99)]}: a line of medians, and a broken one of the 99th percentiles."""
    width, height, left, right, top, bottom = 870, 460, 70, 120, 40, 50
    rates = [r for found in points.values() for r, _, _ in found]
    times = [max(t, 0.01) for found in points.values() for _, *pair in found for t in pair]
    x = Scale(min(rates) / 1.3, max(rates) * 1.3, left, width - right)
    y = Scale(10 ** math.floor(math.log10(min(times))), 10 ** math.ceil(math.log10(max(times) * 1.01)), height - bottom, top)
    parts = [text(left, 22, title, font_weight="bold")]
    for value in x.decades():
        parts += [line(x.at(value), top, x.at(value), height - bottom, "#ddd"),
                  text(x.at(value), height - bottom + 18, short(value), "middle")]
    for value in y.decades():
        parts += [line(left, y.at(value), width - right, y.at(value), "#ddd"),
                  text(left - 8, y.at(value) + 4, short(value), "end")]
    parts.append(text((left + width - right) / 2, height - 10, "messages offered a second", "middle"))
    for row, (name, found) in enumerate(points.items()):
        found, colour = sorted(found), COLOURS[name]
        for which, dash in ((1, ""), (2, "5 4")):
            places = [(x.at(p[0]), y.at(max(p[which], 0.01))) for p in found]
            parts += [line(*a, *b, colour, 2, dash) for a, b in zip(places, places[1:])]
            parts += [dot(*place, colour, 3.5, "white" if dash else colour) for place in places]
        parts += [dot(width - right + 20, top + 20 * row, colour), text(width - right + 30, top + 20 * row + 4, name)]
    key = top + 20 * len(points) + 16
    for i, (words, dash) in enumerate((("median", ""), ("99th", "5 4"))):
        parts += [line(width - right + 12, key + 20 * i, width - right + 42, key + 20 * i, "#222", 2, dash),
                  text(width - right + 48, key + 20 * i + 4, words)]
    with open(path, "w") as f:
        f.write(page(width, height, parts))
