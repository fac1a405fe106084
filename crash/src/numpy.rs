//! NumPy's own opinion of a file: one Python process that loads what it is told to.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Answers each path on a line with `dtype,length of axis 0,length of axis 1,...`, or `!` and the
/// error, and then the length of the bytes and the bytes, in the order of the file.
const PROGRAM: &str = "
import sys, numpy
print(numpy.__version__, flush=True)
out = sys.stdout.buffer
for line in sys.stdin:
    try:
        a = numpy.load(line.rstrip('\\n'), mmap_mode='r')
        head, data = ','.join([a.dtype.str, *map(str, a.shape)]), a.tobytes('A')
    except Exception as error:
        head, data = '!' + repr(error), b''
    out.write(f'{head}\\n{len(data)}\\n'.encode() + data)
    out.flush()
";

pub(crate) struct Numpy {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) version: String,
}

/// What NumPy read.
pub(crate) struct Loaded {
    pub(crate) dtype: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

impl Numpy {
    /// Starts `python3`, or what `NDSTORE_PYTHON` names.
    pub(crate) fn start() -> io::Result<Numpy> {
        let python = std::env::var_os("NDSTORE_PYTHON").unwrap_or_else(|| "python3".into());
        let mut process = Command::new(python)
            .args(["-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        let input = process.stdin.take().ok_or_else(broken)?;
        let output = process.stdout.take().ok_or_else(broken)?;
        let mut numpy = Numpy {
            process,
            input,
            output: BufReader::new(output),
            version: String::new(),
        };
        numpy.version = numpy.line()?;
        Ok(numpy)
    }

    /// What NumPy finds in the file, or why it refuses.
    pub(crate) fn load(&mut self, path: &Path) -> io::Result<Result<Loaded, String>> {
        writeln!(self.input, "{}", path.display())?;
        let head = self.line()?;
        let invalid = |_| io::Error::from(io::ErrorKind::InvalidData);
        let mut bytes = vec![0; self.line()?.parse().map_err(invalid)?];
        self.output.read_exact(&mut bytes)?;
        if let Some(error) = head.strip_prefix('!') {
            return Ok(Err(error.to_owned()));
        }
        let mut words = head.split(',');
        let dtype = words.next().unwrap_or_default().to_owned();
        let shape = words
            .map(|word| word.parse().map_err(invalid))
            .collect::<Result<_, _>>()?;
        Ok(Ok(Loaded {
            dtype,
            shape,
            bytes,
        }))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

impl Drop for Numpy {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
