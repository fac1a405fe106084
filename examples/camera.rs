//! A process appends frames, and another shows the mean of the last ten of them every second.
//!
//! `cargo run --release --example camera [DIRECTORY [SECONDS]]`; NumPy sees the frames meanwhile:
//! `np.load('frames.npy', mmap_mode='r')`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ndarray::prelude::*;
use ndstore::{News, Result, Store};

const FRAME: (usize, usize) = (480, 640);
const BETWEEN_FRAMES: Duration = Duration::from_millis(40);

fn show(path: &Path) -> Result<()> {
    let mut frames = Store::<u16, Ix3>::open(path)?;
    let mut follow = frames.follow();
    let (mut shown, mut ended) = (Instant::now(), false);
    while !ended {
        // Blocks of new frames; the last ten are read when it is time.
        ended = matches!(follow.wait(Duration::from_millis(200))?, News::Ended);
        let count = follow.store().shape()[0];
        if ended || shown.elapsed() > Duration::from_secs(1) {
            let from = count.saturating_sub(10);
            let last = follow.store().read(s![from.., .., ..])?;
            let mean = last.mapv(f64::from).mean().unwrap_or_default();
            println!("{count:5} frames; mean of the last ten: {mean:.1}");
            shown = Instant::now();
        }
    }
    Ok(())
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let directory = arguments.next().map_or_else(PathBuf::new, PathBuf::from);
    let seconds = arguments.next().unwrap_or_else(|| "3".into());
    let path = directory.join("frames.npy");
    if seconds == "show" {
        return Ok(show(&path)?);
    }
    let seconds = Duration::from_secs(seconds.to_string_lossy().parse()?);

    Store::<u16, _>::create(&path, (0, FRAME.0, FRAME.1))?.close()?;
    let mut frames = Store::<u16, Ix3>::open_append(&path)?;
    let mut viewer = Command::new(std::env::current_exe()?)
        .arg(&directory)
        .arg("show")
        .spawn()?;
    let start = Instant::now();
    while start.elapsed() < seconds {
        let light = start.elapsed().as_millis() as u16;
        frames.push(&Array2::from_elem(FRAME, light))?;
        std::thread::sleep(BETWEEN_FRAMES);
    }
    // The viewer sees that nobody appends any more.
    frames.close()?;
    assert!(viewer.wait()?.success());
    Ok(())
}
