//! The workloads: scripts that go through every way in which ndstore changes a file, and random
//! ones.

use ndstore::Order;

use crate::disk::Abilities;
use crate::rng::Rng;
use crate::script::{Script, Step};

const ABLE: Abilities = Abilities {
    fallocate: true,
    noreplace: true,
};

const UNABLE: Abilities = Abilities {
    fallocate: false,
    noreplace: false,
};

/// A sector, and a page or a larger sector.
const UNITS: &[usize] = &[512, 4096];

/// For files so large that smaller units would make too many images.
const LARGE_UNITS: &[usize] = &[1 << 16];

pub(crate) fn script(name: &str, steps: Vec<Step>) -> Script {
    Script {
        name: name.to_owned(),
        order: Order::C,
        compact: false,
        abilities: ABLE,
        units: UNITS,
        steps,
        first: 0,
    }
}

/// The workloads of a short run.
pub(crate) fn short() -> Vec<Script> {
    use Step::*;
    let appends = |count| {
        let mut steps = vec![Create(0, 64)];
        // Rows of one sector each, on sectors and beside them, until the shape has one more digit.
        steps.extend((0..count).map(|step| Append(1 + step % 3)));
        steps
    };
    vec![
        script("create", vec![Create(10, 60), Open]),
        Script {
            abilities: UNABLE,
            ..script("create, no fallocate", vec![Create(10, 60), Create(4, 60)])
        },
        script(
            "create over an old file",
            vec![Foreign(9, 100), Create(5, 60), Create(8, 30)],
        ),
        script("create_from", vec![CreateFrom(9, 60), CreateFrom(6, 100)]),
        Script {
            order: Order::F,
            compact: true,
            ..script(
                "create_from, F, compact",
                vec![CreateFrom(9, 60), CreateFrom(6, 100)],
            )
        },
        script(
            "receive",
            vec![Receive(9, 60), Foreign(9, 100), Receive(5, 60)],
        ),
        script(
            "fill and flush",
            vec![
                Create(9, 60),
                Fill,
                Flush,
                Fill,
                FlushAsync,
                FlushRows(2..5),
                Flush,
            ],
        ),
        script("append", appends(12)),
        Script {
            order: Order::F,
            compact: true,
            ..script(
                "append, F, compact",
                vec![
                    CreateFrom(50, 3),
                    Append(2),
                    Append(1),
                    Open,
                    Append(4),
                    Append(1),
                ],
            )
        },
        Script {
            abilities: UNABLE,
            ..script("append, no fallocate", appends(5))
        },
        script(
            "append beside followers and writers of rows",
            vec![
                Create(8, 60),
                AppendBeside(1),
                WriteRows(2..5),
                AppendBeside(2),
                WriteRows(0..9),
                AppendBeside(1),
                Flush,
            ],
        ),
        script(ASSEMBLE, vec![Assemble]),
        Script {
            abilities: UNABLE,
            ..script("assemble, no fallocate", vec![Assemble, Assemble])
        },
        script(
            "append, no room in the header",
            vec![Foreign(9, 100), Append(1), Append(2)],
        ),
        script(
            "append beside unflushed elements",
            vec![CreateFrom(6, 60), Fill, Append(2), Flush, Fill, Append(1)],
        ),
        script(
            "appender",
            vec![
                Create(0, 40),
                Log {
                    rows: 3,
                    flushes: 8,
                },
            ],
        ),
        script(
            "truncate",
            vec![
                CreateFrom(20, 60),
                Truncate(12),
                Append(2),
                Truncate(3),
                Truncate(0),
                Append(1),
            ],
        ),
        script(
            "resize the slowest axis",
            vec![CreateFrom(6, 60), Resize(9, 60), Resize(4, 60)],
        ),
        script(
            "resize the other axis",
            vec![Foreign(9, 100), Resize(9, 70), Resize(9, 90)],
        ),
        script(
            "resize with unflushed elements",
            vec![
                CreateFrom(6, 60),
                Fill,
                Resize(7, 50),
                Fill,
                Flush,
                Resize(5, 70),
            ],
        ),
    ]
}

/// The workloads of a long run.
pub(crate) fn long() -> Vec<Script> {
    use Step::*;
    let mut all = short();
    let mut commits = vec![Create(0, 64)];
    commits.extend((0..100).map(|step| Append(1 + step % 2)));
    all.extend([
        script("append, 100 commits", commits),
        script(
            "appender, 50 commits",
            vec![
                Create(0, 24),
                Log {
                    rows: 5,
                    flushes: 50,
                },
            ],
        ),
        // An appender writes what it has gathered when that is 1 MiB: here 32 rows.
        Script {
            units: LARGE_UNITS,
            ..script(
                "appender, more than it gathers",
                vec![
                    Create(0, 4096),
                    Log {
                        rows: 35,
                        flushes: 1,
                    },
                    Abandon(33),
                    Append(1),
                    Abandon(33),
                    Truncate(2),
                ],
            )
        },
        // From 64 KiB on the kernel copies.
        script(
            "resize, copied by the kernel",
            vec![CreateFrom(10, 1100), Resize(12, 1100), Resize(8, 1100)],
        ),
        Script {
            abilities: UNABLE,
            ..script(
                "resize, no fallocate",
                vec![CreateFrom(6, 60), Resize(9, 60), Resize(9, 40)],
            )
        },
    ]);
    all.extend((0..RANDOM).map(random));
    all
}

/// How many random scripts a long run has.
pub(crate) const RANDOM: u64 = 60;

const RANDOM_NAME: &str = "random ";

/// A script of random steps, the same for the same seed.
pub(crate) fn random(seed: u64) -> Script {
    let mut rng = Rng::new(seed);
    let order = [Order::C, Order::F][rng.below(2)];
    let (mut rows, mut columns) = (2 + rng.below(6), 20 + rng.below(50));
    // In Fortran order the columns are the slowest axis: let it be the short one all the same.
    let shape = |rows, columns| match order {
        Order::C => (rows, columns),
        Order::F => (columns, rows),
    };
    let mut steps = Vec::new();
    for step in 0..8 {
        steps.push(match if step == 0 { 0 } else { rng.below(12) } {
            0 => {
                let (rows, columns) = shape(rows, columns);
                Step::CreateFrom(rows, columns)
            }
            1 => {
                let (rows, columns) = shape(rows, columns);
                Step::Create(rows, columns)
            }
            2 | 3 => Step::Fill,
            4 => Step::Flush,
            5 => {
                let start = rng.below(rows + 1);
                Step::FlushRows(start..start + rng.below(rows + 1 - start))
            }
            6 | 7 => {
                let more = 1 + rng.below(3);
                rows += more;
                Step::Append(more)
            }
            8 => {
                let (more, flushes) = (1 + rng.below(2), 1 + rng.below(3));
                rows += more * flushes;
                Step::Log {
                    rows: more,
                    flushes,
                }
            }
            9 => {
                rows = rng.below(rows + 1);
                Step::Truncate(rows)
            }
            10 => {
                (rows, columns) = (1 + rng.below(8), 20 + rng.below(50));
                let (rows, columns) = shape(rows, columns);
                Step::Resize(rows, columns)
            }
            _ => Step::Open,
        });
    }
    Script {
        order,
        compact: rng.below(2) == 0,
        ..script(&format!("{RANDOM_NAME}{seed}"), steps)
    }
}

/// What the toy store can do.
pub(crate) fn toy() -> Script {
    use Step::*;
    let steps = vec![
        Create(3, 60),
        Append(2),
        Append(1),
        CreateFrom(5, 60),
        Fill,
        Flush,
        Resize(5, 70),
        Truncate(3),
        Append(2),
    ];
    script("toy", steps)
}

const ASSEMBLE: &str = "assemble";

/// The scripts of a process that takes over a file that another process left.
pub(crate) fn successors(first: &Script) -> Vec<Script> {
    use Step::*;
    if matches!(first.steps[0], Assemble) {
        return vec![script(ASSEMBLE, vec![Assemble])];
    }
    vec![
        script("then flush", vec![Open, Flush, Fill, Flush]),
        script("then fill", vec![Open, Fill, Flush, Append(1)]),
        script("then flush rows", vec![Open, Fill, FlushRows(0..2), Flush]),
        script("then append", vec![Open, Append(2), Append(1)]),
        script("then abandon", vec![Open, Abandon(3), Append(1)]),
        script(
            "then log",
            vec![
                Open,
                Log {
                    rows: 1,
                    flushes: 2,
                },
            ],
        ),
        script("then truncate", vec![Open, Truncate(2), Append(2)]),
        script("then resize", vec![Open, Fill, Resize(4, 50)]),
        script(
            "then resize to itself",
            vec![Open, ResizeToItself, Append(1)],
        ),
        script("then open again", vec![Open, Open, Append(1), Open, Flush]),
        script("then create", vec![Create(3, 40), Append(1)]),
    ]
}

/// What the toy store can take over.
pub(crate) fn toy_successors() -> Vec<Script> {
    use Step::*;
    vec![
        script("then the toy flushes", vec![Open, Fill, Flush]),
        script("then the toy appends", vec![Open, Append(2), Append(1)]),
        script("then the toy truncates", vec![Open, Truncate(2), Append(2)]),
    ]
}

/// The scripts of these names as the lives of processes that take over from each other.
pub(crate) fn in_a_row<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Vec<Script>> {
    let scripts: Option<Vec<_>> = names.into_iter().map(find).collect();
    let mut scripts = scripts?;
    let Script { order, compact, .. } = *scripts.first()?;
    for (position, script) in scripts.iter_mut().enumerate() {
        *script = Script {
            order,
            compact,
            first: position * MOST_STEPS,
            ..script.clone()
        };
    }
    Some(scripts)
}

/// No script has as many steps.
const MOST_STEPS: usize = 1000;

/// The script of this name.
pub(crate) fn find(name: &str) -> Option<Script> {
    match name.strip_prefix(RANDOM_NAME).map(str::parse) {
        Some(seed) => seed.ok().map(random),
        None => long()
            .into_iter()
            .chain([toy()])
            .chain(successors(&toy()))
            .chain(toy_successors())
            .find(|script| script.name == name),
    }
}
