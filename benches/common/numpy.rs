//! NumPy as a side: `numpy_baseline.py` beside this process, which does a job on request and
//! reports the time.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::Side;

struct NumPy {
    process: Child,
    stdout: BufReader<ChildStdout>,
}

impl NumPy {
    /// Starts Python on a job. The error says what is not there.
    fn start(job: &str, arguments: &[&OsStr]) -> Result<NumPy, String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/numpy_baseline.py");
        let mut process = Command::new("python3")
            .args([script, job])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("python3 does not start: {error}"))?;
        let stdout = BufReader::new(process.stdout.take().expect("stdout is a pipe"));
        let mut numpy = NumPy { process, stdout };
        match numpy.answer().as_str() {
            "ready" => Ok(numpy),
            "" => Err("python3 ends at once".to_owned()),
            missing => Err(missing.to_owned()),
        }
    }

    /// The next line that it prints: empty if it has ended.
    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Does the job so many times.
    fn run(&mut self, times: u64) -> Duration {
        let orders = self.process.stdin.as_mut().expect("stdin is a pipe");
        writeln!(orders, "{times}").unwrap();
        let seconds = self.answer().parse();
        Duration::from_secs_f64(seconds.expect("numpy_baseline.py answers in seconds"))
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
    /// A job of `numpy_baseline.py`. The error says what it lacks.
    pub(crate) fn numpy(
        name: &'static str,
        job: &str,
        arguments: &[&OsStr],
    ) -> Result<Side<'static>, String> {
        let mut numpy = NumPy::start(job, arguments)?;
        Ok(Side {
            name,
            run: Box::new(move |times| numpy.run(times)),
        })
    }
}
