//! The one table that `compare` prints.

use std::fmt;

use super::rows::RIVAL_BAR;
use super::statistics::{Estimate, Verdict};
use crate::common::Bench;

/// Ndstore's time over that of another side.
pub(crate) enum Ratio {
    Is(Estimate),
    /// The other side was stopped, so it is less than this.
    Below(f64),
}

/// A side that a row is compared with.
pub(crate) struct Other {
    pub(crate) name: &'static str,
    /// Its median time, or after how long it was stopped.
    pub(crate) seconds: f64,
    pub(crate) ratio: Ratio,
    /// The most that the ratio may be.
    pub(crate) bar: Option<f64>,
}

impl Other {
    fn verdict(&self) -> Option<Verdict> {
        let bar = self.bar?;
        Some(match &self.ratio {
            Ratio::Is(estimate) => estimate.verdict(bar),
            Ratio::Below(most) if *most <= bar => Verdict::Met,
            Ratio::Below(_) => Verdict::Open,
        })
    }
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Other { name, seconds, .. } = self;
        match &self.ratio {
            Ratio::Is(estimate) => write!(f, "{name} {seconds:.3} s: {estimate}")?,
            Ratio::Below(most) => write!(f, "{name}, stopped after {seconds:.0} s: < {most:.2}")?,
        }
        match (self.bar, self.verdict()) {
            (Some(bar), Some(verdict)) => write!(f, " <= {bar}: {verdict}"),
            _ => Ok(()),
        }
    }
}

/// One line of the table.
pub(crate) struct Line {
    pub(crate) title: String,
    /// The median time of ndstore.
    pub(crate) seconds: f64,
    /// Ndstore against itself.
    pub(crate) itself: Estimate,
    pub(crate) rival: Option<Other>,
    pub(crate) limit: Option<Other>,
    /// A rival with a bar of its own.
    pub(crate) own: Option<Other>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "| {} | {:.3} s | {} |",
            self.title, self.seconds, self.itself
        )?;
        for other in [&self.rival, &self.limit, &self.own] {
            match other {
                Some(other) => write!(f, " {other} |")?,
                None => f.write_str(" |")?,
            }
        }
        Ok(())
    }
}

/// All that was measured in a run.
pub(crate) struct Table {
    lines: Vec<Line>,
    /// What was left out, and why.
    left_out: Vec<String>,
    /// How many rows a smoke run saw.
    smoke: usize,
    head: String,
}

impl Table {
    pub(crate) fn new(bench: &Bench, quarter: usize) -> Table {
        let (mib, quarter, least) = (bench.nbytes() >> 20, quarter >> 20, bench.number_of_pairs());
        Table {
            lines: Vec::new(),
            left_out: Vec::new(),
            smoke: 0,
            head: format!(
                "Arrays of {mib} MiB; 1/4: in {quarter} MiB; {least} to {} rounds. Median times, ratios of ndstore's time to the \
                 other's with 95 % intervals, and the bar for each.",
                3 * least
            ),
        }
    }

    pub(crate) fn add(&mut self, line: Line) {
        eprintln!("{line}");
        self.lines.push(line);
    }

    pub(crate) fn leave_out(&mut self, title: &str, reason: &str) {
        eprintln!("{title}: {reason}");
        self.left_out.push(format!("{title}: {reason}"));
    }

    pub(crate) fn count_smoke(&mut self) {
        self.smoke += 1;
    }

    /// Prints it as Markdown.
    pub(crate) fn print(&self) {
        if self.smoke > 0 {
            println!(
                "{} rows, in which all sides came to the same results",
                self.smoke
            );
        }
        if !self.left_out.is_empty() {
            println!("\nLeft out:\n");
        }
        for left_out in &self.left_out {
            println!("- {left_out}");
        }
        if self.lines.is_empty() {
            return;
        }
        println!("\n{}\n", self.head);
        println!("| job | ndstore | itself | best rival | limit | also |");
        println!("|---|---|---|---|---|---|");
        for line in &self.lines {
            println!("{line}");
        }
        let count = |which: fn(&Line) -> &Option<Other>, verdict| {
            let others = self.lines.iter().filter_map(|line| which(line).as_ref());
            others
                .filter(|other| other.verdict() == Some(verdict))
                .count()
        };
        println!(
            "\nOf {} rows {} miss the bar to the limit ({} open), {} another bar ({} open).",
            self.lines.len(),
            count(|line| &line.limit, Verdict::Missed),
            count(|line| &line.limit, Verdict::Open),
            count(|line| &line.own, Verdict::Missed),
            count(|line| &line.own, Verdict::Open),
        );
        println!(
            "Of {} rows ndstore is more than {:.0} % behind the best rival in {} ({} open).",
            self.lines.len(),
            (RIVAL_BAR - 1.0) * 100.0,
            count(|line| &line.rival, Verdict::Missed),
            count(|line| &line.rival, Verdict::Open),
        );
    }
}
