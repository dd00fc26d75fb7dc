"""The result as JSON and as a table."""

import statistics
import sys

from harness.peers import KINDS


def judge(scenario, figures):
    """One entry a bar; `pass` is None where a figure is missing."""
    entries = []
    for bar in scenario.bars:
        ratio = None
        if figures.get(bar.label) and figures.get(bar.against):
            ratio = figures[bar.label] / figures[bar.against]
        entries.append(
            {
                "scenario": scenario.name,
                "of": bar.label,
                "against": bar.against,
                "ratio": None if ratio is None else round(ratio, 4),
                "bar": bar.limit,
                "pass": None if ratio is None else ratio <= bar.limit,
            }
        )
    return entries


class Report:
    """Collects scenarios; the medians are what counts, the single runs are kept beside."""

    def __init__(self, about):
        self.about = about
        self.scenarios = []
        self.medians = {}
        self.bars = []
        self.runs = {}

    def add(self, scenario, runs, notes):
        medians = {label: statistics.median(each) for label, each in runs.items() if each}
        self.scenarios.append(scenario)
        self.medians[scenario.name] = medians
        self.bars += judge(scenario, medians)
        self.runs[scenario.name] = {
            **{label: [round(figure, 3) for figure in each] for label, each in runs.items()},
            **notes,
        }

    def as_json(self):
        result = {}
        for scenario in self.scenarios:
            medians = self.medians[scenario.name]
            labels = list(KINDS) + [label for label in medians if label not in KINDS]
            result[scenario.name] = {
                f"{label}_{scenario.unit}": round(medians[label], 3) if label in medians else None
                for label in labels
            }
        return {**result, "bars": self.bars, "runs": self.runs, "about": self.about}

    def failed(self):
        return [entry for entry in self.bars if entry["pass"] is False]

    def print(self, out=sys.stdout):
        colours = out.isatty()

        def paint(code, text):
            return f"\033[{code}m{text}\033[0m" if colours else text

        head = f"{'':<34}" + "".join(f"{kind:>11}" for kind in KINDS)
        print(paint("1", head), file=out)
        for scenario in self.scenarios:
            for title, cells in self._lines(scenario):
                print(f"{title:<34}" + "".join(f"{cell:>11}" for cell in cells), file=out)
        print(file=out)
        for entry in self.bars:
            text = f"{entry['scenario']}: {entry['of']} / {entry['against']}"
            if entry["ratio"] is None:
                verdict = "not measured"
            else:
                verdict = f"{entry['ratio']:.3f}  " + (
                    paint("32", "pass") if entry["pass"] else paint("31", "FAIL")
                )
            print(f"{text:<42} bar {entry['bar']:<5} {verdict}", file=out)

    def _lines(self, scenario):
        medians = self.medians[scenario.name]

        def cell(label):
            if label not in medians:
                return "-"
            return f"{medians[label]:.{2 if scenario.unit == 'us' else 0}f}"

        yield scenario.title, [cell(kind) for kind in KINDS]
        yield f"  {scenario.unit_title}", [""] * len(KINDS)
        for label, kind, _, title in scenario.contestants:
            if title:
                yield f"  {title}", [cell(label) if kind == k else "" for k in KINDS]
