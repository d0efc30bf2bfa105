//! What a host says about itself. Gathered once, when the worker starts.

use serde::{Deserialize, Serialize};

/// Names follow Ansible's `ansible_facts` without the prefix.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    pub hostname: String,
    pub fqdn: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// `Linux`.
    pub system: String,
    pub kernel: String,
    /// `Debian`, `Ubuntu`, `RedHat`, `Rocky`, ...
    pub distribution: String,
    pub distribution_version: String,
    pub distribution_major_version: String,
    pub distribution_release: String,
    /// `Debian`, `RedHat` or `Suse`.
    pub os_family: String,
    /// `apt`, `dnf`, `yum`, `zypper` or empty.
    pub pkg_mgr: String,
    /// `systemd`, or the name of process 1.
    pub service_mgr: String,
    pub processor_vcpus: u32,
    /// In MiB.
    pub memtotal_mb: u64,
    pub swaptotal_mb: u64,
    /// Without loopback addresses.
    pub all_ipv4_addresses: Vec<String>,
    pub all_ipv6_addresses: Vec<String>,
    /// The address that outgoing traffic takes; empty without a default route.
    pub default_ipv4: String,
    pub boot_id: String,
    /// Whom the worker runs as.
    pub user_id: String,
    /// Milliseconds since the epoch, by the host's clock.
    pub epoch_ms: u64,
}
