//! Eight processes that work at one place for a time, and their reports.
//!
//! The processes run this binary again: the test `party` of the module that starts them. The rig
//! must catch a flawed party.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ndstore::Error;

use super::support::{program, wait_until};

/// Why a party did not do something.
pub(crate) enum Refused {
    By(Error),
    Broken(String),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused::By(error)
    }
}

impl From<String> for Refused {
    fn from(what: String) -> Refused {
        Refused::Broken(what)
    }
}

pub(crate) const PARTIES: u64 = 8;

/// Where a party finds what it is told: its number, the seconds, whether it is flawed, and the
/// directory.
const PARTY: &str = "NDSTORE_TEST_PARTY";

/// What a party puts before its report, to tell it from what the test harness prints.
const REPORT: &str = "party: ";

/// What a party is told.
pub(crate) struct Told {
    pub(crate) number: u64,
    pub(crate) flawed: bool,
    pub(crate) dir: PathBuf,
    end: Instant,
}

impl Told {
    /// What this process is told, if it is a party.
    pub(crate) fn read() -> Option<Told> {
        let told = std::env::var(PARTY).ok()?;
        let mut words = told.splitn(4, ' ');
        let mut word = || words.next().unwrap();
        let number = word().parse().unwrap();
        let seconds = Duration::from_secs_f64(word().parse().unwrap());
        let flawed = word().parse().unwrap();
        let dir = PathBuf::from(word());
        // The harness has left its own line unfinished.
        println!();
        Some(Told {
            number,
            flawed,
            dir,
            end: Instant::now() + seconds,
        })
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }
}

/// Says how often a party did what.
pub(crate) fn report(done: &[u64]) {
    println!("{REPORT}{done:?}");
}

/// Says which promise is broken, and ends the party.
pub(crate) fn broken(what: &str) -> ! {
    println!("{REPORT}{what}");
    std::process::exit(1);
}

/// Lets all parties work in a directory, and says how often they did what, or which promise is
/// broken.
pub(crate) fn work<const N: usize>(
    module: &str,
    dir: &Path,
    seconds: f64,
    flawed: bool,
) -> Result<[u64; N], String> {
    let start = |number| {
        Command::new(program())
            .args([&format!("{module}::party"), "--exact", "--ignored"])
            .arg("--nocapture")
            .env(
                PARTY,
                format!("{number} {seconds} {flawed} {}", dir.display()),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(match flawed {
                true => Stdio::null(),
                false => Stdio::inherit(),
            })
            .spawn()
            .unwrap()
    };
    let mut parties: Vec<_> = (0..PARTIES).map(|number| Reaped(start(number))).collect();
    std::thread::sleep(Duration::from_secs_f64(seconds));
    let is_over = |party: &mut Reaped| party.0.try_wait().unwrap().is_some();
    // One that waits for a lock that nobody gives back waits for ever.
    wait_until(|| parties.iter_mut().all(is_over));
    let mut total = [0; N];
    for Reaped(party) in &mut parties {
        let (mut said, status) = (String::new(), party.wait().unwrap());
        let mut stdout = party.stdout.take().unwrap();
        stdout.read_to_string(&mut said).unwrap();
        let report = said.lines().find_map(|line| line.strip_prefix(REPORT));
        let report = report.ok_or_else(|| format!("a party died: {status}"))?;
        if !status.success() {
            return Err(report.to_owned());
        }
        let counts = report.trim_matches(['[', ']']).split(", ");
        for (total, count) in total.iter_mut().zip(counts) {
            *total += count.parse::<u64>().unwrap();
        }
    }
    Ok(total)
}

/// A process that does not outlive this value.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// In memory, where a sync takes no time, and on a disk.
pub(crate) fn places() -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from("/dev/shm"), std::env::temp_dir()];
    places.retain(|place| place.is_dir());
    places
}
