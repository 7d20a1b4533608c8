//! Names of annotations, labels, finalizers and field managers.

/// Asks for a reconciliation now; any new value counts.
pub const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// With the same value as [`REQUESTED_AT`]: upgrade even when in sync.
pub const FORCE_AT: &str = "reconcile.fluxcd.io/forceAt";
/// With the same value as [`REQUESTED_AT`]: failure counters start anew.
pub const RESET_AT: &str = "reconcile.fluxcd.io/resetAt";
/// Finalizer of all kinds.
pub const FINALIZER: &str = "finalizers.fluxcd.io";
/// Name of the `HelmRelease` that an object was rendered for.
pub const ORIGIN_NAME: &str = "helm.toolkit.fluxcd.io/name";
/// Namespace of the `HelmRelease` that an object was rendered for.
pub const ORIGIN_NAMESPACE: &str = "helm.toolkit.fluxcd.io/namespace";
/// Exactly this chart version, even outside the constraint.
pub const PIN: &str = "leadsman.dev/pin";
/// No version moves; the value says why.
pub const HOLD: &str = "leadsman.dev/hold";
/// Marks the objects that came from a SOURCE; the value names it.
pub const SOURCE: &str = "leadsman.dev/source";
/// Field manager of Helm's command line.
pub const HELM_MANAGER: &str = "helm";
/// Field manager of release objects: Flux's, so that both can take over from each other.
pub const RELEASE_MANAGER: &str = "helm-controller";
/// Field manager of what a person asks for on the command line.
pub const COMMAND_MANAGER: &str = "leadsman-cli";
/// Field manager of objects applied from a SOURCE.
pub const SOURCE_MANAGER: &str = "leadsman-source";
/// On a Lease: the process that renews it.
pub const PROCESS: &str = "leadsman.dev/process";
/// On a Lease: the releases that the process is at work on, separated by commas.
pub const AT_WORK_ON: &str = "leadsman.dev/at-work-on";
/// On a `HelmRelease`: a wait ends when for so long (`90s`) nothing changed and no event came.
pub const STALL_AFTER: &str = "leadsman.dev/stall-after";
/// On a `HelmRelease`: what is done about fields of its objects that others manage, such as
/// `spec.replicas=leave`.
pub const CONFLICTS: &str = "leadsman.dev/conflicts";
