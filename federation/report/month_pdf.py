"""The month as a PDF: on A4, its fonts embedded, in English or Chinese; it says what the page says."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Final

from federation.audit.reports.month import WHOLE_QUERY, MonthlyReport
from federation.report.month_words import Language, MonthWords
from federation.report.notation import clipped, count, percent
from federation.report.sheet import ACCENT, RIGHT, ROOM, SERIES, Column, Part, Sheet
from paper.canvas import HEIGHT, MARGIN, SOFT, WHITE, Canvas

NAMED_BANKS: Final = 3
ALARMS_SHOWN: Final = 40
ROWS_SHOWN: Final = 40
ANSWERED, REFUSED, SILENT = "#2f7d4f", "#dba545", "#b03a2a"


def render_month_pdf(report: MonthlyReport, language: Language) -> bytes:
    """Return the report as a PDF, the same bytes for the same report.

    Reveals: what `report` holds, to whoever opens the file; it loads nothing and runs nothing.
    """
    words = MonthWords(language)
    created = datetime.datetime.fromisoformat(report.generated)
    canvas = Canvas(f"{words('title')} {words.month(report.month.name)}", report.origin, language.tag, created)
    drawing = _Month(Sheet(canvas), report, words)
    drawing.head()
    drawing.volumes()
    drawing.coverage()
    drawing.denials()
    drawing.latency()
    drawing.models()
    drawing.alarms()
    drawing.witnesses()
    drawing.feet(canvas)
    return canvas.output()


class _Month:
    """The sections of one month, drawn from the top."""

    def __init__(self, sheet: Sheet, report: MonthlyReport, words: MonthWords) -> None:
        self._sheet, self._report, self._t = sheet, report, words

    def head(self) -> None:
        """Draw the title, what it rests on, and the month in five figures."""
        sheet, report, t, canvas = self._sheet, self._report, self._t, self._sheet.canvas
        canvas.box(MARGIN, sheet.y, ROOM, 1.3, ACCENT)
        canvas.text(MARGIN, sheet.y + 11, f"{t('title')} {t.month(report.month.name)}", 19, bold=True)
        canvas.text(MARGIN, sheet.y + 16.4, t("subtitle"), 8.4, colour=SOFT)
        stamp, width = t("verified"), canvas.measure(t("verified"), 9, bold=True) + 6
        canvas.box(RIGHT - width, sheet.y + 4.6, width, 6.6, WHITE, radius=1, edge=ANSWERED)
        canvas.text(RIGHT - width / 2, sheet.y + 9.1, stamp, 9, bold=True, colour=ANSWERED, align="middle")
        sheet.y += 19.5
        leaves = t("leaves", leaves=count(report.leaves), witnessed=count(report.witnessed_size))
        for name, value in (
            ("log", f"{report.origin} · {leaves}"),
            ("root", report.root),
            ("generated", t.time(report.generated)),
        ):
            canvas.text(MARGIN, sheet.y + 3.4, t(name), 8, colour=SOFT)
            sheet.y = canvas.paragraph(MARGIN + 22, sheet.y, value, 8, ROOM - 22) + 0.4
        sheet.y += 3
        self._figures()

    def _figures(self) -> None:
        report, t = self._report, self._t
        asked, denied = sum(b.enterprises for b in report.banks), sum(b.denied for b in report.banks)
        whole = next((one for one in report.latencies if one.party == WHOLE_QUERY), None)
        tiles = [
            (t("queries"), count(sum(b.queries for b in report.banks)), t("queries_note")),
            (t("enterprises"), count(asked), t("enterprises_note")),
            (t("denied"), percent(denied / asked if asked else None), t("denied_note", n=count(denied))),
            (t("p90"), t.seconds(whole.p90) if whole else "–", t("p90_note")),
            (t("alarms"), count(len(report.alarms)), t("alarms_note")),
        ]
        self._sheet.tiles(tiles, alarming=4 if report.alarms else -1)

    def volumes(self) -> None:
        """Draw the volumes by day and by bank."""
        report, t, sheet = self._report, self._t, self._sheet
        sheet.heading(t("volumes"), keep=60)
        if not report.days:
            sheet.paragraph(t("volumes_none"))
            return
        named = [bank.bank for bank in report.banks[:NAMED_BANKS]]
        stacks: dict[int, list[int]] = {}
        for one in report.days:
            place = named.index(one.bank) if one.bank in named else len(named)
            stacks.setdefault(one.day, [0] * (len(named) + 1))[place] += one.enterprises
        busiest = max(stacks, key=lambda day: sum(stacks[day]))
        sheet.columns(stacks, report.month.days)
        others = [(t("others"), SERIES[len(named)])] if len(report.banks) > len(named) else []
        sheet.legend([*((name, SERIES[place]) for place, name in enumerate(named)), *others])
        sheet.paragraph(t("volumes_note", days=len(stacks), day=busiest, most=count(sum(stacks[busiest]))))
        columns = self._columns(("bank", 0.3), ("queries", 0.14), ("batches", 0.14), ("enterprises", 0.14))
        columns += self._columns(("denied", 0.14), ("acknowledged", 0.14), first=False)
        numbers = [(b.bank, b.queries, b.batches, b.enterprises, b.denied, b.acknowledged) for b in report.banks]
        sheet.heading(t("by_bank"))
        sheet.table(columns, self._rows(numbers))

    def coverage(self) -> None:
        """Draw in what share of the questions each node answered, and what cannot be known."""
        found, t, sheet = self._report.coverage, self._t, self._sheet
        sheet.heading(t("coverage"), keep=50)
        if not found.nodes:
            sheet.paragraph(t("coverage_none"))
            return
        reached = found.questions - found.stopped
        lead = t("coverage_lead", whole=count(found.whole), reached=count(reached), stopped=count(found.stopped))
        sheet.paragraph(lead)
        sheet.bars(
            [
                (
                    one.node,
                    [Part(one.released, ANSWERED), Part(one.denied, REFUSED), Part(one.silent, SILENT)],
                    percent(one.released / one.questions if one.questions else None),
                )
                for one in found.nodes
            ]
        )
        sheet.legend([(t("released"), ANSWERED), (t("refused"), REFUSED), (t("silent"), SILENT)])
        columns = self._columns(("node", 0.3), ("asked", 0.12), ("released", 0.12), ("refused", 0.12), ("silent", 0.12))
        columns += self._columns(("share", 0.22), first=False)
        rows = [
            (one.node, *map(count, (one.questions, one.released, one.denied, one.silent)), percent(one.share))
            for one in found.nodes
        ]
        sheet.table(columns, rows)
        if found.unnamed:
            sheet.paragraph(t("coverage_unnamed", n=count(found.unnamed)))
        sheet.paragraph(t("coverage_cannot"))

    def denials(self) -> None:
        """Draw the reasons of denials, and who denied."""
        report, t, sheet = self._report, self._t, self._sheet
        sheet.heading(t("denials"))
        if not report.denials:
            sheet.paragraph(t("denials_none"))
            return
        codes: dict[str, int] = {}
        for one in report.denials:
            codes[one.code] = codes.get(one.code, 0) + one.queries
        ranked = sorted(codes.items(), key=lambda entry: (-entry[1], entry[0]))
        sheet.bars([(code, [Part(number, SERIES[0])], count(number)) for code, number in ranked])
        rows = [
            (f"{one.code} {t.denial(one.code)}".strip(), one.by, count(one.queries))
            for one in report.denials[:ROWS_SHOWN]
        ]
        sheet.table([*self._columns(("code", 0.45)), Column(t("by"), 0.35), Column(t("queries"), 0.2, "right")], rows)

    def latency(self) -> None:
        """Draw how long answers took."""
        report, t, sheet = self._report, self._t, self._sheet
        sheet.heading(t("latency"))
        if not report.latencies:
            sheet.paragraph(t("latency_none"))
            return
        names = {one.party: t("whole") if one.party == WHOLE_QUERY else one.party for one in report.latencies}
        bars = [
            (
                names[one.party],
                [Part(one.p90, ACCENT if one.party == WHOLE_QUERY else SERIES[3])],
                t.seconds(one.p90),
            )
            for one in report.latencies
        ]
        sheet.bars(bars)
        columns = [*self._columns(("party", 0.3), ("answers", 0.14))]
        columns += [Column(name, 0.14, "right") for name in ("p50", "p90", "p99", t("longest"))]
        rows = [
            (
                names[one.party],
                count(one.answers),
                *(t.seconds(ms) for ms in (one.p50, one.p90, one.p99, one.longest)),
            )
            for one in report.latencies
        ]
        sheet.table(columns, rows)

    def models(self) -> None:
        """Draw which model was used by whom."""
        report, t, sheet = self._report, self._t, self._sheet
        sheet.heading(t("models"))
        if not report.models:
            sheet.paragraph(t("models_none"))
            return
        columns = [Column(t("model"), 0.5), Column(t("bank"), 0.22)]
        columns += self._columns(("queries", 0.14), ("enterprises", 0.14), first=False)
        rows = [
            (one.model or t("not_stated"), one.bank, count(one.queries), count(one.enterprises))
            for one in report.models[:ROWS_SHOWN]
        ]
        sheet.table(columns, rows)

    def alarms(self) -> None:
        """Draw the alarms, each with its rule, its threshold and its entries."""
        report, t, sheet = self._report, self._t, self._sheet
        sheet.heading(t("alarms"))
        if not report.alarms:
            sheet.paragraph(t("alarms_none"))
            return
        columns = [Column(t("rule"), 0.17), Column(t("party"), 0.23), Column(t("seen"), 0.25)]
        columns += [Column(t("threshold"), 0.2), Column(t("where"), 0.15, "right")]
        rows = []
        for one in report.alarms[:ALARMS_SHOWN]:
            word, identifier = t.about(one.about)
            about = f"{word} {clipped(identifier, 16)}"
            place = t("outside") if one.first_leaf is None else str(one.first_leaf)
            place += f" – {one.last_leaf}" if one.last_leaf != one.first_leaf else ""
            rows.append((t.rule(one.rule), f"{one.party} {about}".strip(), t.said(one, 1), t.said(one, 0), place))
        sheet.table(columns, rows, flagged=True)
        if len(report.alarms) > ALARMS_SHOWN:
            sheet.paragraph(t("alarms_cut", shown=ALARMS_SHOWN, all=count(len(report.alarms))))

    def witnesses(self) -> None:
        """Draw who stands behind the log."""
        report, t, sheet = self._report, self._t, self._sheet
        standing = sum(bool(one.cosigned) for one in report.witnesses)
        lead = t(
            "witnesses_lead",
            standing=standing,
            all=len(report.witnesses),
            quorum=report.quorum,
            checkpoints=count(report.checkpoints),
            cosignatures=count(report.cosignatures),
        )
        sheet.heading(t("witnesses"), lead)
        columns = [Column(t("witness"), 0.6), Column(t("cosigned"), 0.4, "right")]
        sheet.table(
            columns, [(one.name, t.time(one.cosigned) if one.cosigned else t("no")) for one in report.witnesses]
        )

    def feet(self, canvas: Canvas) -> None:
        """Draw the foot of every page."""
        t, pages = self._t, canvas.pages
        for page in range(1, pages + 1):
            canvas.turn_to(page)
            canvas.rule(MARGIN, HEIGHT - 12.5, ROOM)
            canvas.text(MARGIN, HEIGHT - 8.4, t("foot"), 7.2, colour=SOFT)
            number = t("page", page=page, pages=pages)
            canvas.text(
                RIGHT, HEIGHT - 8.4, f"{t.month(self._report.month.name)} · {number}", 7.2, colour=SOFT, align="right"
            )

    def _columns(self, *shares: tuple[str, float], first: bool = True) -> list[Column]:
        """Return columns of numbers, of which the first may be one of names."""
        return [
            Column(self._t(name), share, "left" if first and place == 0 else "right")
            for place, (name, share) in enumerate(shares)
        ]

    @staticmethod
    def _rows(numbers: Sequence[tuple[str, int, int, int, int, int]]) -> list[tuple[str, ...]]:
        return [(name, *map(count, rest)) for name, *rest in numbers]
