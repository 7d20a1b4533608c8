//! Which kinds of Kubernetes are deprecated, and since when.
//!
//! Source: k8s.io/api v0.37.1 (`APILifecycleDeprecated` and its relatives of the kinds that
//! client-go's scheme holds); texts of k8s.io/apiserver pkg/endpoints/deprecation.

/// Group and version, minor version of Kubernetes 1 that deprecated them, the one that dropped
/// them (0: none), what to use instead (and its kind, if that is another), kinds.
type Row = (&'static str, u64, u64, &'static str, &'static str);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("v1", 19, 0, "", "ComponentStatus ComponentStatusList"),
    ("v1", 33, 0, "discovery.k8s.io/v1 EndpointSlice", "Endpoints"),
    ("v1", 33, 0, "discovery.k8s.io/v1 EndpointSliceList", "EndpointsList"),
    ("admissionregistration.k8s.io/v1alpha1", 29, 32, "", "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingAdmissionPolicyBindingList ValidatingAdmissionPolicyList"),
    ("admissionregistration.k8s.io/v1alpha1", 35, 38, "", "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingAdmissionPolicyBindingList MutatingAdmissionPolicyList"),
    ("admissionregistration.k8s.io/v1beta1", 16, 22, "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration MutatingWebhookConfigurationList ValidatingWebhookConfiguration ValidatingWebhookConfigurationList"),
    ("admissionregistration.k8s.io/v1beta1", 31, 34, "", "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingAdmissionPolicyBindingList ValidatingAdmissionPolicyList"),
    ("admissionregistration.k8s.io/v1beta1", 37, 40, "admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingAdmissionPolicyBindingList MutatingAdmissionPolicyList"),
    ("apps/v1beta1", 8, 16, "apps/v1", "ControllerRevision ControllerRevisionList Deployment DeploymentList DeploymentRollback StatefulSet StatefulSetList"),
    ("apps/v1beta1", 8, 16, "autoscaling/v1", "Scale"),
    ("apps/v1beta2", 9, 16, "apps/v1", "ControllerRevision ControllerRevisionList DaemonSet DaemonSetList Deployment DeploymentList ReplicaSet ReplicaSetList StatefulSet StatefulSetList"),
    ("apps/v1beta2", 9, 16, "autoscaling/v1", "Scale"),
    ("authentication.k8s.io/v1alpha1", 29, 32, "", "SelfSubjectReview"),
    ("authentication.k8s.io/v1beta1", 19, 22, "authentication.k8s.io/v1", "TokenReview"),
    ("authentication.k8s.io/v1beta1", 30, 33, "", "SelfSubjectReview"),
    ("authorization.k8s.io/v1beta1", 19, 22, "authorization.k8s.io/v1", "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview"),
    ("batch/v1beta1", 21, 25, "batch/v1", "CronJob CronJobList"),
    ("certificates.k8s.io/v1alpha1", 34, 37, "", "ClusterTrustBundle ClusterTrustBundleList"),
    ("certificates.k8s.io/v1beta1", 19, 22, "certificates.k8s.io/v1", "CertificateSigningRequest CertificateSigningRequestList"),
    ("certificates.k8s.io/v1beta1", 37, 40, "certificates.k8s.io/v1", "ClusterTrustBundle ClusterTrustBundleList PodCertificateRequest PodCertificateRequestList"),
    ("coordination.k8s.io/v1alpha2", 35, 38, "", "LeaseCandidate LeaseCandidateList"),
    ("coordination.k8s.io/v1beta1", 19, 22, "coordination.k8s.io/v1", "Lease LeaseList"),
    ("coordination.k8s.io/v1beta1", 36, 39, "", "LeaseCandidate LeaseCandidateList"),
    ("discovery.k8s.io/v1beta1", 21, 25, "discovery.k8s.io/v1", "EndpointSlice"),
    ("discovery.k8s.io/v1beta1", 21, 25, "discovery.k8s.io/v1 EndpointSlice", "EndpointSliceList"),
    ("events.k8s.io/v1beta1", 22, 25, "", "Event EventList"),
    ("extensions/v1beta1", 2, 16, "", "Scale"),
    ("extensions/v1beta1", 8, 16, "", "DeploymentRollback"),
    ("extensions/v1beta1", 8, 16, "apps/v1", "DaemonSet DaemonSetList Deployment DeploymentList ReplicaSet ReplicaSetList"),
    ("extensions/v1beta1", 9, 16, "networking.k8s.io/v1", "NetworkPolicy NetworkPolicyList"),
    ("extensions/v1beta1", 14, 22, "networking.k8s.io/v1", "Ingress IngressList"),
    ("flowcontrol.apiserver.k8s.io/v1beta1", 23, 26, "flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema FlowSchemaList PriorityLevelConfiguration PriorityLevelConfigurationList"),
    ("flowcontrol.apiserver.k8s.io/v1beta2", 26, 29, "flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema FlowSchemaList PriorityLevelConfiguration PriorityLevelConfigurationList"),
    ("flowcontrol.apiserver.k8s.io/v1beta3", 29, 32, "flowcontrol.apiserver.k8s.io/v1", "FlowSchema FlowSchemaList PriorityLevelConfiguration PriorityLevelConfigurationList"),
    ("lifecycle.k8s.io/v1alpha1", 40, 43, "", "Eviction EvictionList EvictionRequest EvictionRequestList"),
    ("networking.k8s.io/v1beta1", 19, 22, "networking.k8s.io/v1", "Ingress IngressClassList IngressList"),
    ("networking.k8s.io/v1beta1", 19, 22, "networking.k8s.io/v1 IngressClassList", "IngressClass"),
    ("networking.k8s.io/v1beta1", 34, 37, "", "IPAddress IPAddressList ServiceCIDR ServiceCIDRList"),
    ("node.k8s.io/v1beta1", 22, 25, "", "RuntimeClass RuntimeClassList"),
    ("policy/v1beta1", 21, 25, "policy/v1", "PodDisruptionBudget PodDisruptionBudgetList"),
    ("policy/v1beta1", 22, 25, "", "Eviction"),
    ("rbac.authorization.k8s.io/v1beta1", 17, 22, "rbac.authorization.k8s.io/v1", "ClusterRole ClusterRoleBinding ClusterRoleBindingList ClusterRoleList Role RoleBinding RoleBindingList RoleList"),
    ("resource.k8s.io/v1alpha3", 36, 39, "", "DeviceTaintRule DeviceTaintRuleList"),
    ("resource.k8s.io/v1alpha3", 39, 42, "", "ResourcePoolStatusRequest ResourcePoolStatusRequestList"),
    ("resource.k8s.io/v1beta1", 35, 38, "", "DeviceClass DeviceClassList ResourceClaim ResourceClaimList ResourceClaimTemplate ResourceClaimTemplateList ResourceSlice ResourceSliceList"),
    ("resource.k8s.io/v1beta2", 36, 39, "", "DeviceClass DeviceClassList ResourceClaim ResourceClaimList ResourceClaimTemplate ResourceClaimTemplateList ResourceSlice ResourceSliceList"),
    ("resource.k8s.io/v1beta2", 39, 42, "", "DeviceTaintRule DeviceTaintRuleList"),
    ("scheduling.k8s.io/v1beta1", 14, 22, "scheduling.k8s.io/v1", "PriorityClass PriorityClassList"),
    ("scheduling.k8s.io/v1beta1", 40, 43, "", "PodGroup PodGroupList Workload WorkloadList"),
    ("storage.k8s.io/v1alpha1", 21, 24, "storage.k8s.io/v1", "VolumeAttachment VolumeAttachmentList"),
    ("storage.k8s.io/v1alpha1", 21, 24, "storage.k8s.io/v1beta1", "CSIStorageCapacity CSIStorageCapacityList"),
    ("storage.k8s.io/v1alpha1", 32, 35, "storage.k8s.io/v1", "VolumeAttributesClass VolumeAttributesClassList"),
    ("storage.k8s.io/v1beta1", 17, 22, "storage.k8s.io/v1", "CSINode"),
    ("storage.k8s.io/v1beta1", 17, 22, "storage.k8s.io/v1 CSINode", "CSINodeList"),
    ("storage.k8s.io/v1beta1", 19, 22, "storage.k8s.io/v1", "CSIDriver CSIDriverList StorageClass StorageClassList VolumeAttachment VolumeAttachmentList"),
    ("storage.k8s.io/v1beta1", 24, 27, "storage.k8s.io/v1", "CSIStorageCapacity CSIStorageCapacityList"),
    ("storage.k8s.io/v1beta1", 34, 37, "storage.k8s.io/v1", "VolumeAttributesClass VolumeAttributesClassList"),
    ("storagemigration.k8s.io/v1beta1", 37, 40, "storagemigration.k8s.io/v1", "StorageVersionMigration StorageVersionMigrationList"),
];

/// Returns the warning about a kind, if that version of Kubernetes has it deprecated.
pub(super) fn warning(api_version: &str, kind: &str, major: u64, minor: u64) -> Option<String> {
    let named = |row: &&Row| row.0 == api_version && row.4.split(' ').any(|known| known == kind);
    let (_, since, until, instead, _) = ROWS.iter().find(named)?;
    if (1, *since) > (major, minor) && (major, minor) != (0, 0) {
        return None;
    }
    let mut text = format!("{api_version} {kind} is deprecated in v1.{since}+");
    if *until > 0 {
        text.push_str(&format!(", unavailable in v1.{until}+"));
    }
    if let Some((version, kind)) = instead.split_once(' ') {
        text.push_str(&format!("; use {version} {kind}"));
    } else if !instead.is_empty() {
        text.push_str(&format!("; use {instead} {kind}"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::warning;

    #[test]
    fn a_kind_is_deprecated_from_some_version_on() {
        let cron_job = "batch/v1beta1 CronJob is deprecated in v1.21+, unavailable in v1.25+; \
                        use batch/v1 CronJob";
        let of = |kind: &str, minor| warning("batch/v1beta1", kind, 1, minor);
        assert_eq!(of("CronJob", 20), None);
        assert_eq!(of("CronJob", 21).as_deref(), Some(cron_job));
        assert_eq!(of("Job", 37), None);
    }
}
