//! Logging in: keys of files, keys of the agent, password; each once, and a list of what was tried.

use super::agent::{Agent, name_of};
use super::trust::{Trust, in_words};
use super::{Lost, Secret, Target};
use crate::wire::Failure;
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse, Prompt};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, decode_secret_key};
use russh::{MethodKind, MethodSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A server hangs up after six refusals (OpenSSH's `MaxAuthTries`); the last is the password's.
const MOST_KEYS: usize = 5;
/// Rounds of questions that a server may ask before we call it endless.
const MOST_ROUNDS: usize = 4;

/// What became of one key.
pub enum Offered {
    Accepted,
    /// And what the server would take instead.
    Refused(MethodSet),
    /// It never came to an answer.
    Impossible(String),
}

/// Logs in, or says what was tried and what the server would take.
pub async fn log_in(handle: &mut Handle<Trust>, target: &Target) -> Result<(), Lost> {
    let mut login = Login {
        handle,
        target,
        keys_offered: 0,
        tried: Vec::new(),
        allowed: None,
    };
    match login.go().await {
        Ok(true) => Ok(()),
        Ok(false) => Err(login.refused()),
        Err(lost) => Err(lost),
    }
}

struct Login<'a> {
    handle: &'a mut Handle<Trust>,
    target: &'a Target,
    keys_offered: usize,
    /// For the message: what was offered, and what could not be.
    tried: Vec<String>,
    /// What the server would take; unknown before the first refusal.
    allowed: Option<MethodSet>,
}

impl Login<'_> {
    /// The order of OpenSSH: keys before questions.
    async fn go(&mut self) -> Result<bool, Lost> {
        Ok(self.with_keys().await? || self.with_password().await? || self.with_nothing().await?)
    }

    async fn with_keys(&mut self) -> Result<bool, Lost> {
        match &self.target.private_key {
            Some(path) => self.with_named_key(path).await,
            None => Ok(self.with_default_keys().await? || self.with_agent(None).await?),
        }
    }

    /// A key that somebody named is the only one that is offered. When its file is locked, the agent
    /// may hold it open.
    async fn with_named_key(&mut self, path: &Path) -> Result<bool, Lost> {
        let refused = |failure| Lost::Refused(failure);
        match load(path.to_owned(), self.target.passphrase.clone())
            .await
            .map_err(refused)?
        {
            Some(Loaded::Open(key)) => self.offer(path, key).await,
            Some(Loaded::Locked(public)) => {
                if public.is_some() && self.with_agent(public.as_ref()).await? {
                    return Ok(true);
                }
                self.tried.push(format!(
                    "{} (it is encrypted: set `apim_deploy_key_passphrase`)",
                    path.display()
                ));
                Ok(false)
            }
            None => Err(Lost::Refused(
                Failure::new(format!("there is no private key {}", path.display()))
                    .help("correct `ansible_ssh_private_key_file`"),
            )),
        }
    }

    /// What OpenSSH tries when nothing is configured. One that cannot be used is only a remark.
    async fn with_default_keys(&mut self) -> Result<bool, Lost> {
        let Some(home) = std::env::var_os("HOME") else {
            return Ok(false);
        };
        for name in ["id_ed25519", "id_ecdsa", "id_rsa"] {
            let path = PathBuf::from(&home).join(".ssh").join(name);
            match load(path.clone(), self.target.passphrase.clone()).await {
                Ok(Some(Loaded::Open(key))) => {
                    if self.offer(&path, key).await? {
                        return Ok(true);
                    }
                }
                Ok(Some(Loaded::Locked(_))) => self
                    .tried
                    .push(format!("{} (it is encrypted)", path.display())),
                Ok(None) => {}
                Err(failure) => self.tried.push(failure.message),
            }
        }
        Ok(false)
    }

    async fn offer(&mut self, path: &Path, key: Arc<PrivateKey>) -> Result<bool, Lost> {
        self.keys_offered += 1;
        self.tried.push(path.display().to_string());
        let hash = self.hash_for(key.public_key()).await?;
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let answer = self
            .handle
            .authenticate_publickey(&self.target.user, key)
            .await;
        self.heed(answer)
    }

    async fn with_agent(&mut self, only: Option<&PublicKey>) -> Result<bool, Lost> {
        let mut agent = match Agent::find().await {
            Ok(Some(agent)) => agent,
            Ok(None) => return Ok(false),
            Err(remark) => {
                self.tried.push(remark);
                return Ok(false);
            }
        };
        if let Some(key) = only {
            agent.keep_only(key);
        }
        for identity in agent.identities() {
            if self.keys_offered >= MOST_KEYS {
                self.tried.push("(more keys of the agent were not offered: name one with `ansible_ssh_private_key_file`)".to_owned());
                break;
            }
            self.keys_offered += 1;
            self.tried.push(name_of(&identity));
            let hash = self.hash_for(&identity.public_key()).await?;
            match agent
                .offer(self.handle, &self.target.user, &identity, hash)
                .await
            {
                Offered::Accepted => return Ok(true),
                Offered::Refused(allowed) => self.note_allowed(allowed)?,
                Offered::Impossible(why) => self.tried.push(format!("(it did not sign: {why})")),
            }
        }
        Ok(false)
    }

    /// Only RSA keys have a choice; asking the server costs up to a second where it does not say.
    async fn hash_for(&self, key: &PublicKey) -> Result<Option<HashAlg>, Lost> {
        if !key.algorithm().is_rsa() {
            return Ok(None);
        }
        let answer = self
            .handle
            .best_supported_rsa_hash()
            .await
            .map_err(|e| self.cut_off(&e))?;
        // Never SHA-1, even when the server knows nothing better: then the key is refused.
        Ok(answer.flatten().or(Some(HashAlg::Sha512)))
    }

    async fn with_password(&mut self) -> Result<bool, Lost> {
        let Some(password) = &self.target.password else {
            return Ok(false);
        };
        if self.may_try(MethodKind::Password) {
            self.tried.push("the password".to_owned());
            let answer = self
                .handle
                .authenticate_password(&self.target.user, password.expose())
                .await;
            if self.heed(answer)? {
                return Ok(true);
            }
        }
        if self.may_try(MethodKind::KeyboardInteractive) {
            return self.answer_questions(password).await;
        }
        Ok(false)
    }

    /// PAM asks for the password this way. Anything else it may ask, a code of a second factor for
    /// example, gets an empty answer and a refusal.
    async fn answer_questions(&mut self, password: &Secret) -> Result<bool, Lost> {
        self.tried
            .push("the password, asked for interactively".to_owned());
        let user = self.target.user.clone();
        let mut answer = self
            .handle
            .authenticate_keyboard_interactive_start(user, None::<String>)
            .await;
        for _ in 0..MOST_ROUNDS {
            match answer.map_err(|e| self.cut_off(&e))? {
                KeyboardInteractiveAuthResponse::Success => return Ok(true),
                KeyboardInteractiveAuthResponse::Failure {
                    remaining_methods, ..
                } => {
                    self.note_allowed(remaining_methods)?;
                    return Ok(false);
                }
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                    let replies = prompts
                        .iter()
                        .map(|prompt| reply(prompt, password))
                        .collect();
                    answer = self
                        .handle
                        .authenticate_keyboard_interactive_respond(replies)
                        .await;
                }
            }
        }
        self.tried.push("(it went on asking)".to_owned());
        Ok(false)
    }

    /// With nothing to offer we still ask what the server would take, for the message.
    async fn with_nothing(&mut self) -> Result<bool, Lost> {
        if self.allowed.is_some() {
            return Ok(false);
        }
        let answer = self.handle.authenticate_none(&self.target.user).await;
        self.heed(answer)
    }

    fn may_try(&self, method: MethodKind) -> bool {
        self.allowed
            .as_ref()
            .is_none_or(|allowed| allowed.contains(&method))
    }

    fn heed(&mut self, answer: Result<AuthResult, russh::Error>) -> Result<bool, Lost> {
        match answer {
            Ok(AuthResult::Success) => Ok(true),
            Ok(AuthResult::Failure {
                remaining_methods, ..
            }) => {
                self.note_allowed(remaining_methods)?;
                Ok(false)
            }
            Err(e) => Err(self.cut_off(&e)),
        }
    }

    /// russh calls a lost connection a refusal that leaves no method.
    fn note_allowed(&mut self, allowed: MethodSet) -> Result<(), Lost> {
        if allowed.is_empty() && self.handle.is_closed() {
            return Err(self.cut_off(&russh::Error::HUP));
        }
        self.allowed = Some(allowed);
        Ok(())
    }

    fn cut_off(&self, e: &russh::Error) -> Lost {
        Lost::Unreachable(
            Failure::new(format!(
                "{} hung up during the login: {}",
                self.target.shown(),
                in_words(e)
            ))
            .detail(self.tried.iter().map(|tried| format!("tried {tried}")))
            .help("the server's log (`journalctl -u ssh`) says why"),
        )
    }

    fn refused(&self) -> Lost {
        let allowed: Vec<&str> = self
            .allowed
            .iter()
            .flat_map(|a| a.iter())
            .map(<&str>::from)
            .collect();
        let tried = match self.tried.as_slice() {
            [] => "there was nothing to try: no key, no agent, no password".to_owned(),
            tried => format!("tried {}", tried.join(", ")),
        };
        Lost::Refused(
            Failure::new(format!("{} does not let `{}` in", self.target.shown(), self.target.user))
                .detail([tried, format!("the server takes {}", allowed.join(", "))])
                .help("set `ansible_user`, and `ansible_ssh_private_key_file` or `ansible_password`; the key must stand in the user's ~/.ssh/authorized_keys"),
        )
    }
}

/// What is typed without being shown is the password.
fn reply(prompt: &Prompt, password: &Secret) -> String {
    match prompt.echo {
        false => password.expose().to_owned(),
        true => String::new(),
    }
}

/// A key file that was read.
enum Loaded {
    Open(Arc<PrivateKey>),
    /// Encrypted, and no passphrase is set; its public half is known from the file beside it.
    Locked(Option<PublicKey>),
}

/// Reads and decrypts; `None` when there is no file. Decrypting is made slow on purpose, hence a thread.
async fn load(path: PathBuf, passphrase: Option<Secret>) -> Result<Option<Loaded>, Failure> {
    let shown = path.display().to_string();
    tokio::task::spawn_blocking(move || load_now(&path, passphrase.as_ref()))
        .await
        .unwrap_or_else(|e| {
            Err(Failure::new(format!(
                "the private key {shown} cannot be read: {e}"
            )))
        })
}

fn load_now(path: &Path, passphrase: Option<&Secret>) -> Result<Option<Loaded>, Failure> {
    let unreadable = |why: String| {
        Failure::new(format!(
            "the private key {} cannot be read: {why}",
            path.display()
        ))
    };
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(e.to_string())),
    };
    // As OpenSSH: only our own files are ours to judge; root reads those of others.
    if meta.mode() & 0o077 != 0 && meta.uid() == rustix::process::getuid().as_raw() {
        return Err(unreadable(format!(
            "others may read it (mode {:04o})",
            meta.mode() & 0o7777
        ))
        .help(format!("chmod 600 {}", path.display())));
    }
    let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
    match (decode_secret_key(&text, None), passphrase) {
        (Ok(key), _) => Ok(Some(Loaded::Open(Arc::new(key)))),
        (Err(russh::keys::Error::KeyIsEncrypted), None) => {
            Ok(Some(Loaded::Locked(public_half(path))))
        }
        (Err(russh::keys::Error::KeyIsEncrypted), Some(passphrase)) => {
            decode_secret_key(&text, Some(passphrase.expose()))
                .map(|key| Some(Loaded::Open(Arc::new(key))))
                .map_err(|_| {
                    Failure::new(format!(
                "the passphrase of the private key {} is wrong",
                path.display()
            ))
            .help("correct `apim_deploy_key_passphrase`, or load the key into an agent: ssh-add")
                })
        }
        (Err(e), _) => {
            Err(unreadable(e.to_string()).help("it must be a private key as ssh-keygen writes it"))
        }
    }
}

/// `KEY.pub`, beside `KEY`.
fn public_half(path: &Path) -> Option<PublicKey> {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PublicKey::from_openssh(std::fs::read_to_string(name).ok()?.trim()).ok()
}
