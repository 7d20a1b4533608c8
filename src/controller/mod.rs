//! Reconcilers, queue, events, status.
