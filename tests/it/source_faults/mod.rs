//! What may go wrong with each kind of source: certificates, servers, the cache, the disk, the process.
//! Each fault is said as what it is, leaves nothing bad behind, and heals by itself.

mod cache;
mod clock;
mod git;
mod tls;
