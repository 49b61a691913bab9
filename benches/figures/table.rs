//! The table of what was measured: each figure beside its reference and its bar.

use std::{process::Command, time::Instant};

/// Figures, as they come.
pub struct Table {
    begun: Instant,
    rows: Vec<[String; 5]>,
}

impl Table {
    pub fn begin() -> Self {
        Self { begun: Instant::now(), rows: Vec::new() }
    }

    /// A figure, its reference, the ratio of both (or the figure itself), and what it must be.
    pub fn row(&mut self, what: &str, figure: String, reference: String, ratio: String, bar: &str) {
        println!("{what}: {figure}; {reference}; {ratio} (bar: {bar})");
        self.rows.push([what.to_owned(), figure, reference, ratio, bar.to_owned()]);
    }

    /// A figure that must be at most, or at least, so much of its reference.
    pub fn ratio(&mut self, what: &str, unit: &str, (figure, reference): (f64, f64), of: &str, bar: &str) {
        let digits = if figure < 100.0 { 2 } else { 0 };
        let (shown, of) = (format!("{figure:.digits$} {unit}"), format!("{reference:.digits$} {unit}, {of}"));
        self.row(what, shown, of, format!("{:.2}", figure / reference), bar);
    }

    pub fn print(&self) {
        println!("\n{}, {} s\n", machine(), self.begun.elapsed().as_secs());
        println!("| what | figure | reference | ratio | bar |\n|---|---|---|---|---|");
        for row in &self.rows {
            println!("| {} |", row.join(" | "));
        }
    }
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown CPU");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = Command::new("uname").arg("-sr").output().map(|output| output.stdout).unwrap_or_default();
    let kernel = String::from_utf8_lossy(&kernel);
    format!("{}, {cores} cores, {}", model.trim_start_matches([' ', '\t', ':']), kernel.trim())
}
