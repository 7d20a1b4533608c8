//! All that is said to a Kubernetes API.
