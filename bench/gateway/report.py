"""The result as JSON and as a table."""

import statistics
import sys

from harness.peers import KINDS

DISTURBED_SHARE = 0.05
TITLE_WIDTH = 46


def quotient(figures, label, against):
    """None where either figure is missing."""
    if not figures.get(label) or not figures.get(against):
        return None
    return round(figures[label] / figures[against], 4)


def judge(scenario, figures):
    """
    One entry a bar; `pass` is None where a figure is missing. `floor_ratio` is what the blind relay
    has against the same peer, which nothing that passes requests on can be below.
    """
    entries = []
    for bar in scenario.bars:
        ratio = quotient(figures, bar.label, bar.against)
        floor_ratio = None if bar.against == "floor" else quotient(figures, "floor", bar.against)
        entries.append(
            {
                "scenario": scenario.name,
                "of": bar.label,
                "against": bar.against,
                "ratio": ratio,
                "floor_ratio": floor_ratio,
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

    def add(self, scenario):
        runs = scenario.figures
        medians = {label: statistics.median(each) for label, each in runs.items()}
        self.scenarios.append(scenario)
        self.medians[scenario.name] = medians
        self.bars += judge(scenario, medians)
        self.runs[scenario.name] = {
            **{label: [round(figure, 3) for figure in each] for label, each in runs.items()},
            **scenario.notes,
            **({"failures": scenario.failures} if scenario.failures else {}),
        }

    def as_json(self):
        result = {}
        for scenario in self.scenarios:
            medians = self.medians[scenario.name]
            labels = list(KINDS) + [label for label in medians if label not in KINDS]
            figures = {}
            for label in labels:
                figure = medians.get(label)
                figures[f"{label}_{scenario.unit}"] = figure and round(figure, 3)
            result[scenario.name] = figures
        return {**result, "bars": self.bars, "runs": self.runs, "about": self.about}

    def missed(self):
        """The bars that were measured and not met."""
        return [entry for entry in self.bars if entry["pass"] is False]

    def failures(self):
        """(scenario, label, message) of what could not be measured."""
        return [
            (scenario.name, label, message)
            for scenario in self.scenarios
            for label, message in scenario.failures.items()
        ]

    def disturbed(self):
        """The largest share of the proxy's core that other programs had in a run."""
        shares = [
            share
            for scenario in self.scenarios
            for each in scenario.notes.get("others_share", {}).values()
            for share in each
        ]
        return max(shares, default=0)

    def print(self, out=sys.stdout):
        colours = out.isatty()

        def paint(code, text):
            return f"\033[{code}m{text}\033[0m" if colours else text

        def line(title, cells):
            return f"{title:<{TITLE_WIDTH}}" + "".join(f"{cell:>11}" for cell in cells)

        print(paint("1", line("processor us a request", KINDS)), file=out)
        for scenario in self.scenarios:
            for title, cells in self._lines(scenario):
                print(line(title, cells), file=out)
        print(file=out)
        for entry in self.bars:
            text = f"{entry['scenario']}: {entry['of']} / {entry['against']}"
            if entry["ratio"] is None:
                verdict = "not measured"
            else:
                verdict = f"{entry['ratio']:.3f}  " + (
                    paint("32", "pass") if entry["pass"] else paint("31", "FAIL")
                )
                if entry["floor_ratio"] is not None:
                    verdict += f"  (the floor: {entry['floor_ratio']:.3f})"
            print(f"{text:<42} bar {entry['bar']:<5} {verdict}", file=out)
        for name, label, message in self.failures():
            text = f"{name}: {label} could not be measured: {message}"
            print(paint("31", text), file=out)
        if self.disturbed() > DISTURBED_SHARE:
            text = f"Other programs had up to {self.disturbed():.0%} of the proxy's core"
            print(paint("33", f"\n{text}: measure again on an idle machine."), file=out)

    def _lines(self, scenario):
        medians = self.medians[scenario.name]

        def cell(label):
            if label not in medians:
                return "failed" if label in scenario.failures else "-"
            return f"{medians[label]:.{2 if scenario.unit == 'us' else 0}f}"

        title = scenario.title
        if scenario.unit != "us":
            title += f", {scenario.unit_title}"
        yield title, [cell(kind) for kind in KINDS]
        for label, kind, _, title in scenario.contestants:
            if title:
                yield f"  {title}", [cell(label) if kind == k else "" for k in KINDS]
