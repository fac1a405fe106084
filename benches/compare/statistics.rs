//! What can be said of a ratio of two times after so many rounds.

use std::fmt;

/// The median of some ratios, and an interval that holds the true one in 95 of 100 cases.
pub(crate) struct Estimate {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// How a ratio stands to the most that it may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// The interval contains the bar.
    Open,
}

impl Estimate {
    /// Of ratios that are independent of one another, whatever they are distributed like.
    ///
    /// Each lies above the true median as often as below, so how many do is binomial: the interval reaches from the k-th
    /// least to the k-th greatest, with the largest k that leaves no more than 2.5 % on either side. With fewer than six it is
    /// their range, which holds the median less often.
    pub(crate) fn of(ratios: impl Iterator<Item = f64>) -> Estimate {
        let mut sorted: Vec<f64> = ratios.collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let (mut skipped, mut term) = (0, 0.5_f64.powi(n as i32));
        let mut tail = term;
        loop {
            term *= (n - skipped) as f64 / (skipped + 1) as f64;
            tail += term;
            if tail > 0.025 {
                break;
            }
            skipped += 1;
        }
        Estimate {
            median: sorted[(n - 1) / 2].midpoint(sorted[n / 2]),
            low: sorted[skipped],
            high: sorted[n - 1 - skipped],
        }
    }

    pub(crate) fn verdict(&self, bar: f64) -> Verdict {
        match self {
            _ if self.high <= bar => Verdict::Met,
            _ if self.low > bar => Verdict::Missed,
            _ => Verdict::Open,
        }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Estimate { median, low, high } = self;
        write!(f, "{median:.2} ({low:.2}..{high:.2})")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Met => "met",
            Verdict::Missed => "**missed**",
            Verdict::Open => "open",
        })
    }
}
