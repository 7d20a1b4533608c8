//! Integration tests: one binary, a file per subject. What they share is in `support/`.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests stop at the first surprise, read the environment, and some are one long table"
)]

mod archive_names;
mod artifacts;
mod bad_input;
mod bucket_source;
mod causes;
mod commands;
mod conflicts;
mod connection;
mod contract;
mod crash;
mod crds_folder;
mod demo;
mod details;
mod driver;
mod dry_run;
mod elsewhere;
mod every_call;
mod exchange;
mod exclusion;
mod explain;
mod external_artifact;
mod faults;
mod flags;
mod flagship;
mod flux;
mod git;
mod git_include;
mod git_signed;
mod git_source;
mod git_submodules;
mod golden;
mod harness;
mod helm_chart;
mod judge;
mod kubectl;
mod large;
mod lifecycle;
mod lint;
mod oci_fields;
mod oci_source;
mod outdated;
mod package;
mod patched;
mod plan;
mod post_render;
mod readiness;
mod readme;
mod records;
mod registry;
mod registry_faults;
mod rehearsal;
mod repos;
mod repository;
mod repository_source;
mod saved_plan;
mod saved_return;
mod show;
mod signed;
mod simulate;
mod source_faults;
mod storm;
mod suite;
mod support;
mod template;
mod tidy;
mod trust;
mod upgrade;
mod values;
mod verdict;
mod warnings;
