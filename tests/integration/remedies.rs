//! Every way out that a message names is one that can be taken: it is taken here, or in the test or
//! rig that is named here.
//!
//! [`texts`] finds the texts in the code, so one that is new is asked for.

mod files;
mod texts;
mod values;
mod work;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{
    AnyStore, Error, LockPolicy, MapOptions, Mode, Npz, NpzWriter, Options, Order, Result, Store,
    Text, from_file, write_npy,
};
use tempfile::TempDir;

use super::mapped::mapped;
use super::support::Peer;

/// A refusal whose message names a call, and what that call gives in the same place.
type Way = (&'static str, fn(&Path) -> (Error, Result<()>));

/// A call that messages name.
type Call = (&'static str, fn(&Path) -> Result<()>);

/// What was refused.
type Messages = Vec<String>;

/// What takes the ways out of one topic.
type Topic = fn(&Path) -> Messages;

/// What was refused, as it reads.
#[track_caller]
fn refusal<T>(result: Result<T, impl std::fmt::Display>) -> String {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error.to_string(),
    }
}

fn new(path: &Path) -> Store<f64, Ix2> {
    Store::create_from(path, &array![[1.0, 2.0], [3.0, 4.0]]).unwrap()
}

fn raw(path: &Path, len: usize) {
    fs::write(path, vec![0; len]).unwrap();
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("other")
}

fn no_npy(path: &Path) -> Error {
    raw(path, 24);
    Store::<f64, Ix1>::open(path).unwrap_err()
}

fn archive(path: &Path) -> Npz {
    let mut npz = NpzWriter::create(path).unwrap();
    npz.add("x", &array![1.0]).unwrap();
    npz.add_deflated("y", &array![1.0]).unwrap();
    npz.finish().unwrap();
    Npz::open(path).unwrap()
}

fn stream() -> Vec<u8> {
    let mut stream = Vec::new();
    write_npy(&mut stream, &array![1.0, 2.0]).unwrap();
    stream
}

const WAYS: &[Way] = &[
    ("AnyStore::nbytes", |path| {
        drop(new(path));
        let any = AnyStore::open(path).unwrap();
        let refused = any.read_bytes(1 << 20, &mut [0]).unwrap_err();
        let mut all = vec![0; any.nbytes()];
        (refused, any.read_bytes(0, &mut all))
    }),
    ("AnyStore::open", |path| {
        drop(new(path));
        (Npz::open(path).unwrap_err(), AnyStore::open(path).map(drop))
    }),
    ("AnyStore::out_of_core", |path| {
        drop(Store::<Text<2>, _>::create(path, 2).unwrap());
        let any = AnyStore::open(path).unwrap();
        let refused = any.out_of_core_as::<f64, Ix1>().err().unwrap();
        let work = any.out_of_core::<Text<2>, Ix1>();
        (refused, work.and_then(|work| work.gather(&[1]).map(drop)))
    }),
    ("AnyStore::out_of_core_any", |path| {
        drop(Store::<u8, _>::create(path, (2, 2)).unwrap());
        let any = AnyStore::open(path).unwrap();
        let floats = any.out_of_core_as::<f64, Ix2>().unwrap();
        let refused = floats.transpose(beside(path)).err().unwrap();
        let moved = any.out_of_core_any().transpose(beside(path));
        (refused, moved.map(drop))
    }),
    ("MapOptions::guard", |path| {
        let map = mapped(new(path));
        let refused = map.guarded(|_| ()).unwrap_err();
        drop(map);
        let store = Store::<f64, Ix2>::open(path).unwrap();
        // SAFETY: nobody else has the file.
        #[allow(unsafe_code)]
        let map = unsafe { MapOptions::new().guard(true).map(store) };
        (refused, map.and_then(|map| map.guarded(|_| ())))
    }),
    ("Npz::names", |path| {
        let npz = archive(path);
        let refused = npz.member("z").unwrap_err();
        let name = npz.names().next().unwrap();
        (refused, npz.member(name).map(drop))
    }),
    ("Npz::open", |path| {
        archive(path);
        (AnyStore::open(path).unwrap_err(), Npz::open(path).map(drop))
    }),
    ("Npz::read", |path| {
        let npz = archive(path);
        let refused = npz.open_member::<f64, Ix1>("y").unwrap_err();
        (refused, npz.read::<f64, Ix1>("y").map(drop))
    }),
    ("Npz::unpack", |path| {
        let npz = archive(path);
        let refused = npz.open_member::<f64, Ix1>("y").unwrap_err();
        let directory = path.parent().unwrap();
        (refused, npz.unpack::<f64, Ix1>("y", directory).map(drop))
    }),
    ("Options::allow_trailing", |path| {
        raw(path, 27);
        let refused = from_file::<f64>(path, None, 0).unwrap_err();
        let options = Options::new().allow_trailing(true);
        (refused, options.from_file::<f64>(path, None, 0).map(drop))
    }),
    ("Options::allow_truncated", |path| {
        drop(new(path));
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(4096 + 24).unwrap();
        let refused = Store::<f64, Ix2>::open(path).unwrap_err();
        let options = Options::new().allow_truncated(true);
        (refused, options.open::<f64, Ix2>(path).map(drop))
    }),
    ("Options::compact", |path| {
        let options = Options::new().compact(true);
        let refused = options.clone().raw(0).create::<u8, _>(path, 3).unwrap_err();
        (refused, options.create::<u8, _>(path, 3).map(drop))
    }),
    ("Options::dtype", |path| {
        raw(path, 24);
        let options = Options::new().raw(0);
        let refused = options.open_any(path, Mode::Read).unwrap_err();
        let dtype = ndstore::DType::parse("<f8").unwrap();
        let options = options.dtype(dtype);
        (refused, options.open_any(path, Mode::Read).map(drop))
    }),
    ("Options::drop_trailing", |path| {
        let options = Options::new().compact(true);
        drop(options.create_from(path, &array![1.0]).unwrap());
        let mut bytes = fs::read(path).unwrap();
        bytes.extend([7; 3]);
        fs::write(path, bytes).unwrap();
        let append = |options: Options| options.open_rw::<f64, Ix1>(path)?.append(&array![2.0]);
        let refused = append(Options::new()).unwrap_err();
        (refused, append(Options::new().drop_trailing(true)))
    }),
    ("Store::adopt_rows", |path| {
        drop(new(path));
        let mut bytes = fs::read(path).unwrap();
        bytes.extend([7; 16]);
        fs::write(path, bytes).unwrap();
        let mut store = Store::<f64, Ix2>::open_rw(path).unwrap();
        let refused = store.append(&array![[5.0, 6.0]]).unwrap_err();
        (refused, store.adopt_rows().map(drop))
    }),
    ("Options::expect_end", |_| {
        let two = [stream(), stream()].concat();
        let options = Options::new().expect_end(true);
        let refused = options.read_npy::<f64, Ix1>(&two[..]).unwrap_err();
        let taken = options.expect_end(false);
        (refused, taken.read_npy::<f64, Ix1>(&two[..]).map(drop))
    }),
    ("Options::lock", |path| {
        let options =
            Options::new().lock(LockPolicy::WaitAtMost(std::time::Duration::from_secs(20)));
        drop(Store::<f64, _>::create(path, 3).unwrap());
        let mut peer = Peer::at(path);
        peer.ask("open_rw").unwrap();
        let refused = NpzWriter::create(path).unwrap_err();
        let waits = std::thread::spawn({
            let path = path.to_owned();
            move || options.create_npz(path).map(drop)
        });
        peer.ask("drop").unwrap();
        (refused, waits.join().unwrap())
    }),
    ("Options::max_header_size", |path| {
        drop(new(path));
        let refused = Options::new().max_header_size(10).open::<f64, Ix2>(path);
        let taken = Options::new()
            .max_header_size(10_000)
            .open::<f64, Ix2>(path);
        (refused.unwrap_err(), taken.map(drop))
    }),
    ("Options::max_nbytes", |_| {
        let read = |limit| {
            Options::new()
                .max_nbytes(limit)
                .read_npy::<f64, Ix1>(&stream()[..])
        };
        (read(1).unwrap_err(), read(16).map(drop))
    }),
    ("Options::order", |path| {
        drop(new(path));
        let refused = Options::new().order(Order::F).open::<f64, Ix2>(path);
        let taken = Options::new().open::<f64, Ix2>(path);
        (refused.unwrap_err(), taken.map(drop))
    }),
    ("Options::raw", |path| {
        let refused = no_npy(path);
        (
            refused,
            Options::new().raw(0).open::<f64, Ix1>(path).map(drop),
        )
    }),
    ("Options::row_shape", |path| {
        raw(path, 48);
        let refused = Options::new().raw(0).shape((2, 2)).open::<f64, Ix2>(path);
        let taken = Options::new().raw(0).row_shape(2).open::<f64, Ix2>(path);
        (refused.unwrap_err(), taken.map(drop))
    }),
    ("Options::shape", |path| {
        raw(path, 48);
        let refused = Options::new().raw(0).open::<f64, Ix2>(path).unwrap_err();
        let taken = Options::new().raw(0).shape((3, 2)).open::<f64, Ix2>(path);
        (refused, taken.map(drop))
    }),
    ("OutOfCore::astype", |path| {
        let store = Store::create_from(path, &array![i64::MAX, 1]).unwrap();
        let refused = store.out_of_core().sum().unwrap_err();
        let floats = store.out_of_core().astype::<f64>(beside(path));
        (
            refused,
            floats.and_then(|floats| floats.out_of_core().sum().map(drop)),
        )
    }),
    ("OutOfCore::map", |path| {
        drop(Store::<u8, _>::create(path, (2, 2)).unwrap());
        let any = AnyStore::open(path).unwrap();
        let floats = || any.out_of_core_as::<f64, Ix2>().unwrap();
        let refused = floats().transpose(beside(path)).err().unwrap();
        let made = floats().map(beside(path), |number| number).unwrap();
        let moved = made.out_of_core().transpose(path.with_extension("turned"));
        (refused, moved.map(drop))
    }),
    ("OutOfCore::memory", |path| {
        let store = new(path);
        let gather = |nbytes| store.out_of_core().memory(nbytes).gather(&[0, 1]);
        (gather(1).unwrap_err(), gather(1000).map(drop))
    }),
    ("OutOfCore::to_order", |path| {
        let store = new(path);
        let other = Options::new()
            .order(Order::F)
            .create::<f64, _>(beside(path), (2, 2))
            .unwrap();
        let refused = store.out_of_core().zip(other.out_of_core()).err().unwrap();
        let turned = path.with_extension("turned");
        let turned = other.out_of_core().to_order(Order::C, turned).unwrap();
        (
            refused,
            store.out_of_core().zip(turned.out_of_core()).map(drop),
        )
    }),
    ("Store::create", |path| {
        let refused = Store::<f64, Ix1>::open(path).unwrap_err();
        (refused, Store::<f64, _>::create(path, 3).map(drop))
    }),
    ("Store::create_from", |path| {
        let mut store = new(path);
        fs::remove_file(path).unwrap();
        let refused = store.append(&array![[5.0, 6.0]]).unwrap_err();
        let elements = store.read_all().unwrap();
        (refused, Store::create_from(path, &elements).map(drop))
    }),
    ("Store::map_cow", |path| {
        drop(new(path));
        let refused = AnyStore::open_mode(path, Mode::CopyOnWrite).unwrap_err();
        let store = Store::<f64, Ix2>::open(path).unwrap();
        // SAFETY: nobody else has the file.
        #[allow(unsafe_code)]
        let map = unsafe { store.map_cow() };
        (refused, map.map(drop))
    }),
    ("Store::open", |path| {
        drop(new(path));
        let refused = Store::<f64, _>::create_new(path, 3).unwrap_err();
        (refused, Store::<f64, Ix2>::open(path).map(drop))
    }),
    ("Store::open_rw", |path| {
        drop(Options::new().raw(0).create::<f64, _>(path, 3).unwrap());
        let options = Options::new().raw(0);
        let refused = options.open_append::<f64, Ix1>(path).unwrap_err();
        let alone = options.open_rw::<f64, Ix1>(path);
        (
            refused,
            alone.and_then(|mut store| store.append(&array![1.0])),
        )
    }),
    ("Store::rewrite", |path| {
        let compact = Options::new().compact(true);
        drop(compact.create_from(path, &array![[1.0, 2.0]]).unwrap());
        let refused = Store::<f64, Ix2>::open_append(path).unwrap_err();
        let rewritten = Store::<f64, Ix2>::open_rw(path).unwrap().rewrite();
        rewritten.unwrap();
        let appended = Store::<f64, Ix2>::open_append(path);
        (
            refused,
            appended.and_then(|mut store| store.append(&array![[3.0, 4.0]])),
        )
    }),
];

/// Those whose refusal takes a file system or a file that no test makes: the call is taken all the
/// same.
const UNMADE: &[Call] = &[
    ("Mapped::check_faults", |path| {
        mapped(new(path)).check_faults()
    }),
    ("Options::no_lock", |path| {
        // As where there are no locks, none that is there counts.
        let held = |path: &Path| {
            let file = fs::File::open(path).unwrap();
            file.lock().unwrap();
            file
        };
        let options = Options::new().no_lock();
        raw(path, 16);
        let _old = held(path);
        options.to_file(path, &array![1.0, 2.0])?;
        let _bytes = held(path);
        assert_eq!(options.from_file::<f64>(path, None, 0)?, array![1.0, 2.0]);
        options.create_npz(path)?.finish()?;
        let _archive = held(path);
        options.open_npz(path)?;
        let store = options.create_from(path, &array![1.0])?;
        store.write_checksums()?;
        let _sums = held(&path.with_extension("sums"));
        store.write_checksums()?;
        assert!(store.verify()?.is_intact());
        Ok(())
    }),
];

/// What messages name: calls in the literals of the code, not in its comments.
fn named() -> BTreeSet<String> {
    fn visit(directory: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, found);
            } else if path.file_name().unwrap() != "mode.rs" {
                // The hints of the compiler in `mode.rs` are no messages.
                let text = fs::read_to_string(&path).unwrap();
                let code = text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"));
                for line in code {
                    found.extend(
                        line.split('`')
                            .filter(|name| is_call(name))
                            .map(str::to_owned),
                    );
                }
            }
        }
    }
    let mut found = BTreeSet::new();
    visit(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
    );
    found
}

/// Whether a text is the path of a call, as `Store::open`.
fn is_call(text: &str) -> bool {
    const TYPES: [&str; 7] = [
        "Store",
        "AnyStore",
        "Options",
        "MapOptions",
        "Mapped",
        "Npz",
        "OutOfCore",
    ];
    text.split_once("::").is_some_and(|(of, name)| {
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        TYPES.contains(&of) && !name.is_empty() && name.chars().all(is_name)
    })
}

const TOPICS: &[Topic] = &[
    files::names,
    files::limits,
    files::raw_files,
    files::types,
    files::regions,
    files::assemblies,
    files::faults,
    work::out_of_core,
    values::headers,
    values::descrs,
    values::other_formats,
    values::checksums,
    values::bytes_and_streams,
    values::archives,
    values::texts_and_times,
];

/// Texts whose ways out are taken where root, another process or another program is at hand, and by
/// which test.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "no permission to {needed} ({cause}); check the owner",
        DENIED,
    ),
    (
        "it is mounted by itself, and no new file",
        "rigs::odd_places::a_file_that_is_mounted_by_itself_is_refused_before_the_work",
    ),
    (
        "{needed} bytes are needed{}; free some space",
        "rigs::ways_out::room_is_made_or_found_on_another_disk",
    ),
    (
        " of its file system; choose another file system",
        "rigs::ways_out::a_file_too_large_for_ext4_is_made_on_another_file_system",
    ),
    (
        "its file system has no maps; read and write it",
        "rigs::odd_places::a_file_system_without_maps_is_read_and_written_without_one",
    ),
    (
        "its address space, or the number of its maps, is used up",
        "rigs::ways_out::more_maps_are_had_by_the_setting_that_the_message_names",
    ),
    (
        "its file system has no {what} ({cause}); {remedy}",
        NO_LOCKS,
    ),
    (
        "if nobody else writes the file, open it with `Options::no_lock`",
        NO_LOCKS,
    ),
    (
        "open it alone, with `Store::open_rw`",
        "rigs::odd_places::where_files_are_not_locked_in_part_one_is_opened_alone",
    ),
    (
        "it was asked to give it back",
        "integration::locks::a_file_under_a_lease_is_waited_for_and_said_to_be_under_one",
    ),
    (
        "another process opened it, of which this one is a forked copy",
        "integration::forked::the_way_out_of_a_forked_child_is_its_parent_or_a_store_of_its_own",
    ),
    (
        "others changed again and again what the name stands for ({error}); one of",
        "rigs::replacement::no_store_that_is_locked_is_ever_replaced",
    ),
    ("it is encrypted; unpack the archive", PACKED),
    ("it is compressed by {method}", PACKED),
    ("unpack it", PACKED),
    (
        "fetch the content with `git lfs pull`",
        "rigs::ways_out::the_content_behind_a_pointer_of_git_lfs_is_fetched",
    ),
    (
        "fetch the content with `git annex get`",
        "rigs::ways_out::the_content_behind_a_pointer_of_git_annex_is_fetched",
    ),
    (
        "load it in Python if you trust it, and `np.save` the array",
        "interop::a_pickle_is_saved_as_an_array",
    ),
];

const DENIED: &str = "rigs::ways_out::what_denies_access_is_shown_by_the_commands_in_the_message";
const NO_LOCKS: &str = "rigs::odd_places::where_there_are_no_locks_a_file_is_opened_without_one";
const PACKED: &str = "rigs::ways_out::what_other_tools_packed_is_unpacked_by_them";

const RECORDS: &str = "no text and no `record!` comes to it";

/// Texts that have no way out to be taken, and why.
const NO_WAY: &[(&str, &str)] = &[
    (
        "{what} is not supported here ({cause})",
        "another system, or another kernel",
    ),
    (
        "read the array with a library for that format",
        "the library is not ours",
    ),
    (
        "decode it with a library for images",
        "the library is not ours",
    ),
    (
        "it is of version {found}, and this crate knows version 1",
        "there is no newer crate",
    ),
    (
        "{text:?} is no {expected}: {reason} at byte {at}",
        "it says what was expected",
    ),
    (
        "span of time, such as `50` or `50 milliseconds`",
        "a part of the text before",
    ),
    (
        "the member {name:?} ends behind the end of the file",
        "a reason of `Archive`",
    ),
    (
        "its list of members, at its end, is cut or damaged",
        "a reason of `Archive`",
    ),
    (
        "others change again and again what this name stands for",
        "it takes a race that is lost a hundred times",
    ),
    ("cancelled: {cause}", "the error is the caller's own"),
    ("a record of {itemsize} bytes cannot hold", RECORDS),
    ("a void or sub-array field must have a name", RECORDS),
    ("field {name:?} starts at byte {offset}, before", RECORDS),
    ("records nest deeper than the {max} levels", RECORDS),
    (
        "open it as `Be<T>` of that type, which has no alignment",
        "machines of that byte order say it",
    ),
    (
        "they do not have the sum that they say",
        "a reason of `Damaged`",
    ),
    (
        "; rows {:?} have no checksums",
        "what was verified, and no refusal",
    ),
    (
        "`{Self}` is not an element of an array",
        "a hint of the compiler",
    ),
    (
        "structs become elements with `ndstore::record!`",
        "a hint of the compiler",
    ),
    (
        "`{Self}` cannot be a field of a record",
        "a hint of the compiler",
    ),
    (
        "a field is an `Element`, an array `[T; N]` of such",
        "a hint of the compiler",
    ),
    ("` has padding: ", "a hint of the compiler"),
    (
        "add `Pad<N>` fields where it lies",
        "a hint of the compiler",
    ),
    (
        "`ByteOrdered::Raw` has the size of the element",
        "a fact that is asserted",
    ),
    (
        "the map holds the elements of the shape",
        "a fact that is asserted",
    ),
];

/// Whether there is a test of this name, by its binary and its modules.
fn is_there(test: &str) -> bool {
    let parts: Vec<&str> = test.split("::").collect();
    let (name, modules) = parts.split_last().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = match modules {
        ["lib", modules @ .., "tests"] => root.join("src").join(modules.join("/")),
        [_] => root.join("tests").join(modules[0]).join("main"),
        _ => root.join("tests").join(modules.join("/")),
    };
    let code = fs::read_to_string(file.with_extension("rs")).unwrap_or_default();
    code.contains(&format!("fn {name}()"))
}

#[test]
fn every_way_out_that_a_message_names_can_be_taken() {
    let directory = TempDir::new().unwrap();
    let mut taken = BTreeSet::new();
    let mut said = Messages::new();
    for (number, (name, way)) in WAYS.iter().enumerate() {
        let place = directory.path().join(number.to_string());
        fs::create_dir(&place).unwrap();
        let (refused, result) = way(&place.join("a"));
        let message = refused.to_string();
        assert!(message.contains(&format!("`{name}`")), "{name}: {message}");
        result.unwrap_or_else(|error| panic!("{name}: {error}"));
        taken.insert((*name).to_owned());
        said.push(message);
    }
    for (number, (name, way)) in UNMADE.iter().enumerate() {
        let place = directory.path().join(format!("unmade {number}"));
        fs::create_dir(&place).unwrap();
        way(&place.join("a")).unwrap_or_else(|error| panic!("{name}: {error}"));
        taken.insert((*name).to_owned());
    }
    assert_eq!(named(), taken, "every name stands in the table");

    for (number, topic) in TOPICS.iter().enumerate() {
        let place = directory.path().join(format!("topic {number}"));
        fs::create_dir(&place).unwrap();
        said.extend(topic(&place));
    }
    let listed: Vec<&str> = ELSEWHERE
        .iter()
        .chain(NO_WAY)
        .map(|(text, _)| *text)
        .collect();
    let is_taken = |text: &String| {
        said.iter().any(|message| texts::is_said(text, message))
            || listed.iter().any(|listed| text.starts_with(listed))
    };
    let all = texts::all();
    let untaken: Vec<_> = all.iter().filter(|text| !is_taken(text)).collect();
    assert!(
        untaken.is_empty(),
        "nobody takes the way out of {untaken:#?}"
    );
    for listed in listed {
        let there = all.iter().any(|text| text.starts_with(listed));
        assert!(there, "no message says {listed:?}");
    }
    for (text, test) in ELSEWHERE {
        assert!(is_there(test), "{text}: there is no test {test}");
    }
}
