//! Bad input: each mistake ends as a condition on the right object, an event, and a line that
//! names the object, the cause and what to do; others go on, and nothing is half applied. Every
//! table runs on the simulated cluster and on a real API server.

mod archives;
mod cluster;
mod disk;
mod outage;
mod releases;
mod repositories;
mod site;
mod source;
