//! What Leadsman serves over HTTP.
