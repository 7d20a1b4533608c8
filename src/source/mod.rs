//! Bytes from HTTP(S) repositories.
