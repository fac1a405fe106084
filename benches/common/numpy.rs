//! NumPy as a side: `numpy_baseline.py` beside this process, which does a job when it is told to and says how long it took.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::Side;

struct NumPy {
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl NumPy {
    /// Starts Python on a job. `None` where there is no Python or it has no NumPy.
    fn start(job: &str, arguments: &[&OsStr]) -> Option<NumPy> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/numpy_baseline.py");
        let mut process = Command::new("python3")
            .args([script, job])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let answers = BufReader::new(process.stdout.take().expect("stdout is a pipe"));
        let mut numpy = NumPy { process, answers };
        (numpy.answer() == "ready").then_some(numpy)
    }

    fn run(&mut self, times: u64) -> Duration {
        let orders = self.process.stdin.as_mut().expect("stdin is a pipe");
        writeln!(orders, "{times}").unwrap();
        let answer = self.answer();
        Duration::from_secs_f64(
            answer
                .parse()
                .expect("numpy_baseline.py answers in seconds"),
        )
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for NumPy {
    fn drop(&mut self) {
        // It ends when its orders do.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

impl Side<'_> {
    /// A job of `numpy_baseline.py`, if NumPy is there.
    pub(crate) fn numpy(
        name: &'static str,
        job: &str,
        arguments: &[&OsStr],
    ) -> Option<Side<'static>> {
        let mut numpy = NumPy::start(job, arguments)?;
        Some(Side {
            name,
            run: Box::new(move |times| numpy.run(times)),
        })
    }
}
