//! NumPy as a side: `numpy_baseline.py` beside this process, which does a job when it is told to and says how long it took.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use super::Side;

struct NumPy {
    process: Child,
    /// The lines that it prints. They come by way of a thread, so that waiting for one can end.
    answers: Receiver<String>,
    /// How long an answer may take, and whether one took longer.
    limit: Option<Duration>,
    stopped: bool,
}

impl NumPy {
    /// Starts Python on a job. The error says what is not there.
    fn start(job: &str, arguments: &[&OsStr], limit: Option<Duration>) -> Result<NumPy, String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/numpy_baseline.py");
        let mut process = Command::new("python3")
            .args([script, job])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("python3 does not start: {error}"))?;
        let stdout = BufReader::new(process.stdout.take().expect("stdout is a pipe"));
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let numpy = NumPy {
            process,
            answers,
            limit,
            stopped: false,
        };
        match numpy.answers.recv().as_deref() {
            Ok("ready") => Ok(numpy),
            Ok(missing) => Err(missing.to_owned()),
            Err(_) => Err("python3 ends at once".to_owned()),
        }
    }

    /// Does the job so many times, or stops for good after the time limit and says that it took as long.
    fn run(&mut self, times: u64) -> Duration {
        let limit = self.limit.unwrap_or(Duration::MAX);
        if self.stopped {
            return limit;
        }
        let orders = self.process.stdin.as_mut().expect("stdin is a pipe");
        writeln!(orders, "{times}").unwrap();
        match self.answers.recv_timeout(limit) {
            Ok(answer) => Duration::from_secs_f64(
                answer
                    .parse()
                    .expect("numpy_baseline.py answers in seconds"),
            ),
            Err(RecvTimeoutError::Timeout) => {
                self.stopped = true;
                self.process.kill().unwrap();
                self.process.wait().unwrap();
                limit
            }
            Err(RecvTimeoutError::Disconnected) => panic!("numpy_baseline.py has died"),
        }
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
        Side::numpy_within(name, job, arguments, None)
    }

    /// As [`numpy`](Side::numpy); a sample that takes longer than `limit` is stopped, and none is taken after it.
    pub(crate) fn numpy_within(
        name: &'static str,
        job: &str,
        arguments: &[&OsStr],
        limit: Option<Duration>,
    ) -> Result<Side<'static>, String> {
        let mut numpy = NumPy::start(job, arguments, limit)?;
        Ok(Side {
            name,
            run: Box::new(move |times| numpy.run(times)),
            limit,
        })
    }
}
