//! Version constraints by Helm's rules.
