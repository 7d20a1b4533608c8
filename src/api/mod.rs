//! The shapes of Flux's objects.
