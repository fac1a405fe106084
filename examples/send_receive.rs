//! An array from the file of one process to the file of another, over a socket. Neither holds it in
//! memory.
//!
//! `cargo run --example send_receive`. Either end may be Python. The sender:
//!
//! ```python
//! class Bare:  # NumPy asks anything with a fileno for its position, which a socket has not.
//!     def __init__(self, sock): self.write = sock.sendall
//! np.lib.format.write_array(Bare(sock), array)
//! ```
//!
//! The receiver; without `buffering=0` it fails:
//!
//! ```python
//! stream = sock.makefile('rb', buffering=0)
//! array = np.lib.format.read_array(stream)  # and again for the next one
//! ```

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use ndarray::prelude::*;
use ndstore::{Options, Store, write_npy};

fn send(to: std::net::SocketAddr, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let socket = TcpStream::connect(to)?;
    Store::<f32, Ix2>::open(path)?.send(&socket)?;
    // What is in memory goes the same way; arrays may follow one another.
    write_npy(&socket, &array![1_i64, 2, 3])?;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let (source, target) = (
        directory.path().join("a.npy"),
        directory.path().join("b.npy"),
    );
    let array = Array::from_shape_fn((1000, 1000), |(i, j)| (i * j) as f32);
    drop(Store::create_from(&source, &array)?);

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let sender = thread::spawn(move || send(address, &source).map_err(|error| error.to_string()));

    let (socket, peer) = listener.accept()?;
    let options = Options::new().max_nbytes(1 << 30);
    let received = options.receive::<f32, Ix2>(&socket, &target)?;
    let received = received.ok_or("the sender left without a word")?;
    let labels = options.read_npy::<i64, Ix1>(&socket)?;
    sender.join().expect("the sender does not panic")?;

    assert_eq!(received.read_all()?, array);
    println!("{received:?} and {labels:?} from {peer}");
    Ok(())
}
