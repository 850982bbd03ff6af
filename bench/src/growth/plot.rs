//! The picture of growth: one panel for each kind of figure, in it a group of bars for each size.

use super::Figure;
use super::step::Row;
use crate::table::number;
use std::fmt::Write;

const PANEL_WIDTH: f64 = 400.0;
const PANEL_HEIGHT: f64 = 250.0;
const COLUMNS: usize = 2;
const MARGIN: f64 = 24.0;
/// The widest that a bar gets.
const BAR_WIDTH: f64 = 70.0;
const LEGEND_FONT: &str = "font-size=\"11\"";
/// About what a letter of the legend takes.
const LEGEND_LETTER: f64 = 6.8;
/// Room in a panel above the bars (title, legend, the value of the tallest) and below them (sizes).
const ABOVE: f64 = 66.0;
const BELOW: f64 = 26.0;
/// Told apart also without colours, by their lightness.
const COLOURS: [&str; 4] = ["#1b4965", "#62a8c9", "#c8d9e0", "#e07a3f"];

/// Figures of one kind.
struct Panel {
    title: &'static str,
    /// Whether the series are parts of a whole.
    is_stacked: bool,
    series: Vec<Series>,
}

/// One figure at each size.
struct Series {
    name: &'static str,
    figure: fn(&Row) -> f64,
}

fn panels() -> Vec<Panel> {
    let panel = |title, is_stacked, series: &[Figure]| Panel {
        title,
        is_stacked,
        series: series
            .iter()
            .map(|&(name, figure)| Series { name, figure })
            .collect(),
    };
    vec![
        panel(
            "Disk bytes per object of 4 KiB",
            true,
            &[
                ("inline bodies", |row| row.index.inline_tables),
                ("other SST", |row| row.index.other_tables),
                ("logs, rest", |row| row.index.rest),
                ("chunk disks", |row| row.disks_bytes_per_object),
            ],
        ),
        panel(
            "Server CPU, ms per operation",
            false,
            &[
                ("PUT", |row| row.put.server_cpu_ms),
                ("GET", |row| row.get.server_cpu_ms),
            ],
        ),
        panel(
            "Time until ready, s",
            false,
            &[
                ("after a stop", |row| row.start_after_stop_s),
                ("after kill -9", |row| row.start_after_kill_s),
            ],
        ),
        panel(
            "Operations per second",
            false,
            &[
                ("PUT", |row| row.put.ops_per_second),
                ("GET", |row| row.get.ops_per_second),
            ],
        ),
        panel(
            "Bytes written per object byte",
            false,
            &[("write amplification", |row| row.write_amplification)],
        ),
        panel(
            "Resident memory, MiB",
            false,
            &[("server", |row| row.rss_mib)],
        ),
    ]
}

/// The whole picture.
pub fn svg(rows: &[Row]) -> String {
    let panels = panels();
    let lines = panels.len().div_ceil(COLUMNS);
    let (width, height) = (
        MARGIN + COLUMNS as f64 * (PANEL_WIDTH + MARGIN),
        MARGIN + lines as f64 * (PANEL_HEIGHT + MARGIN),
    );
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        let x = MARGIN + (index % COLUMNS) as f64 * (PANEL_WIDTH + MARGIN);
        let y = MARGIN + (index / COLUMNS) as f64 * (PANEL_HEIGHT + MARGIN);
        out += &format!("<g transform=\"translate({x} {y})\">\n");
        draw(&mut out, panel, rows);
        out += "</g>\n";
    }
    out + "</svg>\n"
}

fn draw(out: &mut String, panel: &Panel, rows: &[Row]) {
    text(
        out,
        (0.0, 14.0),
        "start",
        panel.title,
        "font-weight=\"bold\"",
    );
    if panel.series.len() > 1 {
        draw_legend(out, panel);
    }
    let base = PANEL_HEIGHT - BELOW;
    let group_width = PANEL_WIDTH / rows.len().max(1) as f64;
    let tallest = rows.iter().map(|row| panel.height(row)).fold(0.0, f64::max);
    let scale = if tallest > 0.0 {
        (base - ABOVE) / tallest
    } else {
        0.0
    };
    for (index, row) in rows.iter().enumerate() {
        let middle = group_width * (index as f64 + 0.5);
        let bars = if panel.is_stacked {
            1
        } else {
            panel.series.len()
        };
        let bars_width = (group_width * 0.7).min(BAR_WIDTH * bars as f64);
        let start = middle - bars_width / 2.0;
        if panel.is_stacked {
            let mut top = base;
            for (series, colour) in panel.series.iter().zip(COLOURS) {
                let height = (series.figure)(row) * scale;
                top -= height;
                bar(out, (start, top), (bars_width, height), colour);
            }
            let sum = number(panel.height(row));
            text(out, (middle, top - 5.0), "middle", &sum, "");
        } else {
            let width = bars_width / panel.series.len() as f64;
            for (at, (series, colour)) in panel.series.iter().zip(COLOURS).enumerate() {
                let value = (series.figure)(row);
                let (left, height) = (start + width * at as f64, value * scale);
                bar(out, (left, base - height), (width - 2.0, height), colour);
                let place = (left + width / 2.0, base - height - 5.0);
                text(out, place, "middle", &number(value), "");
            }
        }
        let label = format!("{} objects", size(row.objects));
        text(out, (middle, base + 17.0), "middle", &label, "");
    }
    let line = format!(
        "<line x1=\"0\" y1=\"{base}\" x2=\"{PANEL_WIDTH}\" y2=\"{base}\" stroke=\"#888\"/>\n"
    );
    out.push_str(&line);
}

fn draw_legend(out: &mut String, panel: &Panel) {
    let mut x = 0.0;
    for (series, colour) in panel.series.iter().zip(COLOURS) {
        bar(out, (x, 24.0), (10.0, 10.0), colour);
        text(out, (x + 14.0, 33.0), "start", series.name, LEGEND_FONT);
        x += 14.0 + LEGEND_LETTER * series.name.len() as f64 + 10.0;
    }
}

impl Panel {
    /// The height of the tallest bar of a size.
    fn height(&self, row: &Row) -> f64 {
        let values = self.series.iter().map(|series| (series.figure)(row));
        if self.is_stacked {
            values.sum()
        } else {
            values.fold(0.0, f64::max)
        }
    }
}

fn bar(out: &mut String, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
    let _infallible = writeln!(
        out,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
    );
}

/// `text` and `anchor` need no escapes.
fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, text: &str, more: &str) {
    let _infallible = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {more}>{text}</text>"
    );
}

/// `5 M`, `100 k`, `1234`.
fn size(objects: u64) -> String {
    match objects {
        n if n >= 1_000_000 && n.is_multiple_of(100_000) => format!("{} M", n as f64 / 1e6),
        n if n >= 1000 && n.is_multiple_of(1000) => format!("{} k", n / 1000),
        n => n.to_string(),
    }
}
