//! How far a long piece of work is.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

const INTERVAL: Duration = Duration::from_secs(2);
const TEMPLATE: &str = "{bar:40} {human_pos} of {human_len} {msg}, {per_sec}, {eta} left";

/// A bar on a terminal, a line now and then elsewhere; both on the standard error.
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    lines: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins work on so many things.
    pub fn start(count: usize, things: &'static str) -> Result<Self, indicatif::style::TemplateError> {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(count as u64), target);
        bar.set_style(ProgressStyle::with_template(TEMPLATE)?);
        bar.set_message(things);
        let started = Instant::now();
        let lines = (!terminal).then(|| tokio::task::spawn_local(lines(bar.clone(), started)));
        Ok(Self { bar, started, lines })
    }

    /// So many more are done.
    pub fn add(&self, count: usize) {
        self.bar.inc(count as u64);
    }

    /// How many are done.
    pub fn count(&self) -> u64 {
        self.bar.position()
    }

    /// How long it takes so far.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(lines) = &self.lines {
            lines.abort();
        }
        self.bar.finish_and_clear();
    }
}

async fn lines(bar: ProgressBar, started: Instant) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let (done, all) = (HumanCount(bar.position()), HumanCount(bar.length().unwrap_or_default()));
        eprintln!("{done} of {all} {}, {:.0} a second", bar.message(), rate(bar.position(), started.elapsed()));
    }
}

/// Things per second.
pub fn rate(count: u64, elapsed: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let count = count as f64;
    count / elapsed.as_secs_f64().max(f64::EPSILON)
}
