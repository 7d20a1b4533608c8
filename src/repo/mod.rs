//! Index, cache, resolve, pull.
