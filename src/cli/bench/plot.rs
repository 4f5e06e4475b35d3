//! How figures grow with the signals stored, as SVG: four panels over one logarithmic axis of sizes. Beyond the largest size that
//! was measured, up to 100 million, lines are dashed: they go on as between the last two sizes, and are a guess.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use super::report::Figure;

const SIZE: (u32, u32) = (1_280, 960);
/// How far lines are drawn on.
const GUESSED_TO: f64 = 1e8;
const FONT: &str = "sans-serif";
/// Height of a line of the legend, and of the part of a panel that it shares with the lines.
const LEGEND_LINE: f64 = 16.0;
const DRAWN_HEIGHT: f64 = 360.0;

/// Title and unit of a panel, and the operations in it.
const PANELS: [(&str, &str, &[&str]); 4] = [
    ("rate", "a second", &["CheckSellers", "CheckSeller", "SubmitSignals", "SubmitSignal", "first synchronisation"]),
    ("latency of a check", "us", &["CheckSeller p50", "CheckSeller p99"]),
    ("memory", "MiB", &["memory, peak", "memory, steady"]),
    ("disk", "MiB", &["disk"]),
];

/// A line: an operation with a number of feeds, and its points.
type Lines = BTreeMap<(String, usize), Vec<(f64, f64)>>;

/// Draws all that can be drawn of `figures`.
pub(super) fn draw(figures: &[Figure], path: &Path) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    for (panel, (title, unit, operations)) in area.split_evenly((2, 2)).into_iter().zip(PANELS) {
        let lines = lines_of(figures, unit, operations);
        if !lines.is_empty() {
            draw_panel(&panel, &format!("{title}, {unit}"), &lines)?;
        }
    }
    area.present()?;
    Ok(())
}

fn lines_of(figures: &[Figure], unit: &str, operations: &[&str]) -> Lines {
    let mut lines = Lines::new();
    for figure in figures.iter().filter(|figure| figure.unit == unit && operations.contains(&figure.operation)) {
        let points = lines.entry((figure.operation.to_owned(), figure.feeds)).or_default();
        let at = figure.signals as f64;
        // A figure that is compared with several limits is one point.
        if points.last().is_none_or(|(last, _)| *last < at) {
            points.push((at, figure.ours.median));
        }
    }
    lines
}

/// Where a line leads, as between its last two points on axes that are both logarithmic; `None` where it is one point.
fn guess(points: &[(f64, f64)]) -> Option<[(f64, f64); 2]> {
    let [.., (x1, y1), last @ (x2, y2)] = *points else { return None };
    let slope = (y2 / y1).ln() / (x2 / x1).ln();
    (x2 < GUESSED_TO).then(|| [last, (GUESSED_TO, y2 * (GUESSED_TO / x2).powf(slope))])
}

fn draw_panel(
    panel: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    caption: &str,
    lines: &Lines,
) -> Result<(), Box<dyn Error>> {
    let all = || lines.values().flat_map(|points| points.iter().copied().chain(guess(points).into_iter().flatten()));
    let (mut least, mut most) = (f64::INFINITY, 0_f64);
    all().for_each(|(_, y)| (least, most) = (least.min(y), most.max(y)));
    // The legend stands above all lines.
    let legend = (lines.len() as f64 * LEGEND_LINE + 12.0) / DRAWN_HEIGHT;
    let (bottom, top) = (least / 1.5, most * 1.2);
    let top = top * (top / bottom).powf(legend / (1.0 - legend));
    let smallest = all().map(|(x, _)| x).fold(f64::INFINITY, f64::min);
    let mut chart = ChartBuilder::on(panel)
        .caption(caption, (FONT, 20))
        .margin(12)
        .margin_right(36)
        .x_label_area_size(36)
        .y_label_area_size(80)
        .build_cartesian_2d((smallest..GUESSED_TO * 1.05).log_scale(), (bottom..top).log_scale())?;
    let format = |value: &f64| super::report::number(*value);
    chart
        .configure_mesh()
        .x_desc("signals stored; dashed: extrapolated")
        .x_label_formatter(&format)
        .y_label_formatter(&format)
        .light_line_style(WHITE)
        .draw()?;
    for (place, ((operation, feeds), points)) in lines.iter().enumerate() {
        let colour = Palette99::pick(place).to_rgba();
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))?
            .label(format!("{operation}, {feeds} feed{}", if *feeds == 1 { "" } else { "s" }))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        if let Some(guess) = guess(points) {
            chart.draw_series(DashedLineSeries::new(guess, 6, 6, colour.stroke_width(1)))?;
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .label_font((FONT, 12))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::report::Spread;
    use super::*;

    fn figure(operation: &'static str, signals: u64, value: f64) -> Figure {
        Figure { signals, feeds: 1, ..Figure::new(operation, "MiB", Spread::one(value)) }
    }

    #[test]
    fn a_line_goes_on_as_it_went() {
        let [from, to] = guess(&[(1e6, 100.0), (1e7, 1_000.0)]).expect("two points");
        assert_eq!(from, (1e7, 1_000.0));
        assert!((to.1 - 10_000.0).abs() < 1e-6 && to.0 == GUESSED_TO);
        assert_eq!(guess(&[(1e6, 1.0)]), None);
    }

    #[test]
    fn what_is_guessed_is_dashed_and_said_to_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("growth.svg");
        let figures = [figure("disk", 1_000_000, 400.0), figure("disk", 10_000_000, 4_100.0)];
        draw(&figures, &path).expect("drawn");
        let text = std::fs::read_to_string(path).expect("written");
        assert!(text.starts_with("<svg") && text.contains("extrapolated") && text.contains("disk, 1 feed"));
    }
}
