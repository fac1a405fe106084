//! How far an operation is: a bar at a terminal, lines of JSON, or nothing. Always on standard error.

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use ndstore::Progress;

use crate::interrupt;

/// What takes less shows no bar.
const QUIET: Duration = Duration::from_millis(400);

/// The time between two lines of JSON.
const BETWEEN: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Bar,
    Json,
    None,
}

/// Tells how far one operation is, and ends it after Ctrl-C.
pub(crate) struct Meter {
    what: &'static str,
    style: Style,
    started: Instant,
    told: Option<Instant>,
    bar: Option<ProgressBar>,
}

impl Meter {
    pub(crate) fn new(what: &'static str, style: Style) -> Meter {
        Meter {
            what,
            style,
            started: Instant::now(),
            told: None,
            bar: None,
        }
    }

    /// As a callback of the library's.
    pub(crate) fn callback(
        mut self,
    ) -> impl FnMut(Progress) -> Result<(), Box<dyn Error + Send + Sync>> + Send {
        move |progress| self.tell(progress.done, progress.total)
    }

    /// So many bytes of all are done. An error after Ctrl-C.
    pub(crate) fn tell(
        &mut self,
        done: u64,
        total: u64,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        if interrupt::is_pressed() {
            return Err("interrupted".into());
        }
        match self.style {
            Style::None => {}
            Style::Json => self.tell_json(done, total),
            Style::Bar if self.started.elapsed() >= QUIET => {
                let bar = self
                    .bar
                    .get_or_insert_with(|| bar(self.what, total, self.started));
                bar.set_position(done);
            }
            Style::Bar => {}
        }
        Ok(())
    }

    fn tell_json(&mut self, done: u64, total: u64) {
        if done < total && self.told.is_some_and(|told| told.elapsed() < BETWEEN) {
            return;
        }
        self.told = Some(Instant::now());
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = done as f64 / seconds.max(1e-9);
        let line = serde_json::json!({
            "progress": self.what, "done": done, "total": total,
            "bytes_per_second": rate.round(), "seconds": (seconds * 1e3).round() / 1e3,
        });
        // Progress that cannot be told is no reason to stop.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &'static str, total: u64, started: Instant) -> ProgressBar {
    let template = "{prefix} {wide_bar} {percent:>3}%  {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";
    let style = ProgressStyle::with_template(template).expect("the template is sound");
    ProgressBar::new(total)
        .with_style(style.progress_chars("=> "))
        .with_prefix(what)
        .with_elapsed(started.elapsed())
}
