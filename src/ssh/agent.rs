//! Keys that an ssh-agent holds: it signs, we never see them.

use super::auth::Offered;
use super::trust::Trust;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PublicKey};
use std::path::PathBuf;
use tokio::net::UnixStream;

/// A conversation with the agent.
pub struct Agent {
    client: AgentClient<UnixStream>,
    identities: Vec<AgentIdentity>,
}

impl Agent {
    /// The agent of `SSH_AUTH_SOCK`. `Ok(None)` when none is configured; an agent that does not answer is
    /// worth a remark.
    pub async fn find() -> Result<Option<Self>, String> {
        let Some(socket) = std::env::var_os("SSH_AUTH_SOCK").filter(|s| !s.is_empty()) else {
            return Ok(None);
        };
        let socket = PathBuf::from(socket);
        let silent = |e: russh::keys::Error| {
            format!("the agent at {} does not answer: {e}", socket.display())
        };
        let mut client = AgentClient::connect_uds(&socket).await.map_err(silent)?;
        let identities = client.request_identities().await.map_err(silent)?;
        Ok(Some(Self { client, identities }))
    }

    /// Only this key, however many others the agent holds: each refused key costs one of the server's
    /// few attempts.
    pub fn keep_only(&mut self, key: &PublicKey) {
        self.identities
            .retain(|identity| identity.public_key().key_data() == key.key_data());
    }

    pub fn identities(&self) -> Vec<AgentIdentity> {
        self.identities.clone()
    }

    pub async fn offer(
        &mut self,
        handle: &mut Handle<Trust>,
        user: &str,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
    ) -> Offered {
        let answer = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                handle
                    .authenticate_publickey_with(user, key.clone(), hash, &mut self.client)
                    .await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                handle
                    .authenticate_certificate_with(
                        user,
                        certificate.clone(),
                        hash,
                        &mut self.client,
                    )
                    .await
            }
        };
        match answer {
            Ok(AuthResult::Success) => Offered::Accepted,
            Ok(AuthResult::Failure {
                remaining_methods, ..
            }) => Offered::Refused(remaining_methods),
            Err(e) => Offered::Impossible(e.to_string()),
        }
    }
}

/// The key's comment, by which people know it.
pub fn name_of(identity: &AgentIdentity) -> String {
    let comment = match identity {
        AgentIdentity::PublicKey { comment, .. } | AgentIdentity::Certificate { comment, .. } => {
            comment
        }
    };
    format!("the agent's key `{comment}`")
}
