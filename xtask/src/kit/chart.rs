//! SVG charts in docs/bench.

use crate::kit::file;
use crate::kit::shell::root;
use plotters::prelude::*;
use std::error::Error;

/// A bar of a chart.
pub struct Bar {
    pub name: String,
    /// Its quartiles.
    pub ratio: [f64; 3],
}

const OURS: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
const OTHERS: RGBColor = RGBColor(0x9a, 0xa5, 0xb1);
/// Readable on white and on black.
const INK: RGBColor = RGBColor(0x80, 0x88, 0x90);
const BAR: u32 = 34;

/// Draws a bar chart, with a line from the first quartile to the third on each bar.
///
/// Returns the file's path in the repository.
pub fn draw_bars(name: &str, title: &str, bars: &[Bar]) -> Result<String, String> {
    let mut svg = String::new();
    draw_bars_into(&mut svg, title, bars).map_err(|error| format!("cannot draw {name}: {error}"))?;
    write_svg(name, &svg)
}

/// A line of a chart: a value over time.
pub struct Line {
    pub name: &'static str,
    /// Seconds, and the value.
    pub values: Vec<(f64, f64)>,
}

/// Draws lines over one axis of time. Returns the file's path in the repository.
pub fn draw_lines(name: &str, title: &str, lines: &[Line]) -> Result<String, String> {
    let mut svg = String::new();
    draw_lines_into(&mut svg, title, lines).map_err(|error| format!("cannot draw {name}: {error}"))?;
    write_svg(name, &svg)
}

fn draw_lines_into(svg: &mut String, title: &str, lines: &[Line]) -> Result<(), Box<dyn Error>> {
    let values = || lines.iter().flat_map(|line| &line.values);
    let largest = |coordinate: fn(&(f64, f64)) -> f64| values().map(coordinate).fold(1.0, f64::max);
    let area = SVGBackend::with_string(svg, (760, 300)).into_drawing_area();
    let text = |size: u32| ("sans-serif", size).into_font().color(&INK);
    let mut chart = ChartBuilder::on(&area)
        .caption(title, text(17))
        .margin(12)
        .x_label_area_size(26)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..largest(|value| value.0), 0.0..largest(|value| value.1) * 1.2)?;
    chart
        .configure_mesh()
        .bold_line_style(INK.mix(0.25))
        .light_line_style(TRANSPARENT)
        .axis_style(INK.mix(0.5))
        .label_style(text(13))
        .draw()?;
    for (line, colour) in lines.iter().zip([OURS, OTHERS]) {
        let drawn = chart.draw_series(LineSeries::new(line.values.iter().copied(), colour.stroke_width(2)))?;
        drawn.label(line.name).legend(move |(x, y)| Rectangle::new([(x, y - 4), (x + 14, y + 4)], colour.filled()));
    }
    chart.configure_series_labels().border_style(INK.mix(0.4)).label_font(text(13)).draw()?;
    area.present()?;
    drop(chart);
    Ok(())
}

fn write_svg(name: &str, svg: &str) -> Result<String, String> {
    let shown = format!("docs/bench/{name}.svg");
    let path = root().join(&shown);
    let make_folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    make_folder.map_err(|error| format!("cannot create docs/bench: {error}"))?;
    file::write(&path, svg)?;
    Ok(shown)
}

fn draw_bars_into(svg: &mut String, title: &str, bars: &[Bar]) -> Result<(), Box<dyn Error>> {
    let longest = bars.iter().map(|bar| bar.ratio[2]).fold(1.0, f64::max) * 1.12;
    let height = 70 + BAR * bars.len() as u32;
    let area = SVGBackend::with_string(svg, (760, height)).into_drawing_area();
    let rows = 0.0..bars.len() as f64;
    let text = |size: u32| ("sans-serif", size).into_font().color(&INK);
    let mut chart = ChartBuilder::on(&area)
        .caption(title, text(17))
        .margin(8)
        .margin_left(190)
        .x_label_area_size(26)
        .build_cartesian_2d(0.0..longest, rows.end..rows.start)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_labels(8)
        .bold_line_style(INK.mix(0.25))
        .light_line_style(TRANSPARENT)
        .axis_style(INK.mix(0.5))
        .label_style(text(13))
        .draw()?;
    for (row, bar) in bars.iter().enumerate() {
        let (top, [low, middle, high]) = (row as f64, bar.ratio);
        let colour = if bar.name.starts_with("barepoll") { OURS } else { OTHERS };
        chart.draw_series([Rectangle::new([(0.0, top + 0.18), (middle, top + 0.82)], colour.filled())])?;
        chart.draw_series([PathElement::new(vec![(low, top + 0.5), (high, top + 0.5)], INK.stroke_width(2))])?;
        let label = format!("{middle:.2}");
        chart.draw_series([Text::new(label, (high.max(middle) + longest * 0.008, top + 0.36), text(13))])?;
        let (_, y) = chart.backend_coord(&(0.0, top + 0.36));
        area.draw(&Text::new(bar.name.clone(), (10, y), text(14)))?;
    }
    area.present()?;
    drop(chart);
    Ok(())
}
