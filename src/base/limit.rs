//! Upper bounds of everything that comes from outside. The figures are Flux's and Helm's.

/// Largest `index.yaml` that is read.
pub const INDEX_BYTES: u64 = 50 << 20;
/// Largest packed chart archive.
pub const ARCHIVE_BYTES: u64 = 10 << 20;
/// Largest sum of a chart's unpacked files.
pub const UNPACKED_BYTES: u64 = 100 << 20;
/// Most entries of a chart archive.
pub const ARCHIVE_ENTRIES: usize = 50_000;
/// Largest YAML file of a SOURCE folder, and largest values file.
pub const SOURCE_FILE_BYTES: u64 = 5 << 20;
/// Largest answer to any other request.
pub const ANSWER_BYTES: u64 = 64 << 20;
/// Most redirects that are followed.
pub const REDIRECTS: usize = 10;
