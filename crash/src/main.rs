//! Cuts the power under ndstore at every moment, and checks what is left. See README.md.

mod assembly;
mod check;
mod child;
mod disk;
mod faults;
mod foreign;
mod fs;
mod log;
#[path = "../../tests/integration/mapped.rs"]
mod mapped;
mod model;
mod numpy;
mod oracle;
mod power;
mod relay;
mod report;
mod rig;
mod rng;
mod script;
mod subject;
mod toy;
mod workloads;

use std::path::Path;
use std::process::ExitCode;

use child::Past;
use report::Plan;

const USAGE: &str = "usage: ndstore-crash short [--require-numpy]
       ndstore-crash long [--require-numpy]
       ndstore-crash list
       ndstore-crash log WORKLOAD";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["child", subject, directory, ref lives @ ..] => {
            let parsed = lives.iter().map(|life| Past::parse(life)).collect();
            let lives: Option<Vec<Past>> = parsed;
            let scripts = lives
                .as_ref()
                .and_then(|lives| workloads::in_a_row(lives.iter().map(Past::script)));
            match (lives, scripts) {
                (Some(lives), Some(scripts)) => {
                    let flaw = rig::subject_of(subject);
                    child::run(flaw, &lives, &scripts, Path::new(directory))
                }
                _ => refuse("there is no such workload"),
            }
        }
        ["short"] => run(Plan::SHORT, false),
        ["short", "--require-numpy"] => run(Plan::SHORT, true),
        ["long"] => run(Plan::LONG, false),
        ["long", "--require-numpy"] => run(Plan::LONG, true),
        ["list"] => {
            for script in workloads::long() {
                println!("{}: {:?}", script.name, script.steps);
            }
            ExitCode::SUCCESS
        }
        ["log", name] => show_log(name),
        _ => refuse(USAGE),
    }
}

/// Exit code 2: the rig could not do its work, which says nothing about ndstore.
fn refuse(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(2)
}

fn run(plan: Plan, require_numpy: bool) -> ExitCode {
    if let Err(why) = rig::check_machine() {
        return refuse(&why);
    }
    let numpy = match numpy::Numpy::start() {
        Err(error) if require_numpy => return refuse(&format!("NumPy does not start: {error}")),
        numpy => numpy.ok(),
    };
    match report::run(plan, numpy) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => refuse(&format!("the rig failed: {error}")),
    }
}

/// Prints what a workload does to the file system.
fn show_log(name: &str) -> ExitCode {
    let Some(script) = workloads::find(name) else {
        return refuse(&format!("there is no workload {name:?}; see `list`"));
    };
    match rig::record(None, &script, None) {
        Ok(recording) => {
            for op in &recording.log {
                println!("{op}");
            }
            println!("{:?}", recording.last().ending);
            ExitCode::SUCCESS
        }
        Err(error) => refuse(&format!("the rig failed: {error}")),
    }
}
