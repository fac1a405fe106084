//! `ndstore lock`: who has a file, and which rows of it.

use std::path::PathBuf;

use clap::Args;
use ndstore::{Inspection, Order};
use serde_json::{Value, json};

use crate::holders::{self, Hold, Holder};
use crate::input::RawArgs;
use crate::operand::printable;
use crate::outcome::{Answer, Outcome};
use crate::shell::Shell;

/// Tell who has an array open, and which rows of it
///
/// Takes no lock itself, and sees the processes that this user may see. Exit code 1 if nobody has any of them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore lock log.npy\n  \
    ndstore lock --json log.npy | jq .holders[].pid")]
pub(crate) struct Lock {
    /// Files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    raw: RawArgs,
}

impl Lock {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let mut is_held = false;
        for path in &self.files {
            let found = self.raw.options(shell.options()).inspect(path)?;
            let holders = holders::of(path);
            is_held |= !holders.is_empty();
            if shell.is_json() {
                let holders: Vec<_> = holders
                    .iter()
                    .map(|holder| to_json(holder, &found))
                    .collect();
                shell.json(&json!({"path": path.to_string_lossy(), "holders": holders}))?;
                continue;
            }
            let name = printable(path);
            if holders.is_empty() {
                writeln!(shell.out, "{name}: nobody has it")?;
            }
            for holder in &holders {
                writeln!(shell.out, "{name}: {}", sentence(holder, &found))?;
            }
        }
        Ok(Answer::of(is_held))
    }
}

/// `process 71 (python) reads rows 0..100`.
pub(crate) fn sentence(holder: &Holder, found: &Inspection) -> String {
    let who = match holder.process {
        None => "somebody".to_owned(),
        Some(process) => match std::fs::read_to_string(format!("/proc/{process}/comm")) {
            Ok(name) => format!("process {process} ({})", printable(name.trim())),
            Err(_) => format!("process {process}"),
        },
    };
    let what = match (&holder.hold, rows(holder, found)) {
        (Hold::Alone, _) => "has it to write, alone".into(),
        (Hold::Open, _) => "has it open".into(),
        (Hold::Shares, _) => "shares it with others that read and write it".into(),
        (Hold::Reads(_), (from, to)) => format!("reads rows {from}..{to}"),
        (Hold::Writes(_), (from, to)) => format!("writes rows {from}..{to}"),
        (Hold::Appends(_), (from, _)) => format!("appends from row {from} on"),
    };
    format!("{who} {what}")
}

pub(crate) fn to_json(holder: &Holder, found: &Inspection) -> Value {
    let (hold, has_rows) = match holder.hold {
        Hold::Alone => ("alone", false),
        Hold::Open => ("open", false),
        Hold::Shares => ("shares", false),
        Hold::Reads(_) => ("reads", true),
        Hold::Writes(_) => ("writes", true),
        Hold::Appends(_) => ("appends", true),
    };
    let (from, to) = rows(holder, found);
    let to = if let Hold::Appends(_) = holder.hold {
        Value::Null
    } else {
        to.into()
    };
    json!({"pid": holder.process, "hold": hold, "rows": has_rows.then(|| json!([from, to]))})
}

/// The rows, along the slowest axis, that the bytes belong to.
fn rows(holder: &Holder, found: &Inspection) -> (u64, u64) {
    let axis = match found.order() {
        Order::C => found.shape().first(),
        Order::F => found.shape().last(),
    };
    let row = (found.nbytes())
        .checked_div(axis.map_or(1, |&len| len as u64))
        .unwrap_or(0);
    // Of an array without rows, or without bytes, an element is the row.
    let row = row.max(found.dtype().itemsize() as u64).max(1);
    let place = |byte: u64| byte.saturating_sub(found.offset()) / row;
    match holder.hold {
        Hold::Reads(ref bytes) | Hold::Writes(ref bytes) => {
            (place(bytes.start), place(bytes.end + row - 1))
        }
        Hold::Appends(start) => (place(start), u64::MAX),
        Hold::Alone | Hold::Open | Hold::Shares => (0, u64::MAX),
    }
}
