//! Work on arrays larger than memory: piece by piece, read into buffers and never through a map.
//!
//! [`OutOfCore`] is the one adapter on which everything stands: an array in a file, a memory budget and a progress callback.
//! Each kind of work has a file of its own. Nothing here maps, locks or replaces a file: `store` does.

mod batches;
mod behind;
mod blocks;
mod cast;
mod create;
mod gather;
mod grid;
mod map;
mod map_blocks;
mod pass;
mod pipeline;
mod reduce;
mod relocate;
mod scan;
mod source;
mod spread;
mod work;

pub use batches::Batches;
pub use blocks::{Block, BlockArray, Blocks};
pub use cast::FromNumber;
pub use grid::Chunk;
pub use map::Zip;
pub use reduce::{Description, FloatNumber, Number, RealNumber};
pub use work::{OutOfCore, OutOfCoreAny, OutOfCoreMut, Progress};
