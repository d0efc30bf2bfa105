//! From a target to a session: address, TCP, handshake, trust, login, worker.

use super::bootstrap;
use super::known_hosts::{self, KnownHosts};
use super::pipe::{Ear, Mouth};
use super::resolve::resolve;
use super::session::Session;
use super::socket::{FirstWords, Socket};
use super::trust::{Remarks, Trust, in_words};
use super::{Lost, Target, Worker, auth, local};
use crate::wire::Failure;
use russh::client::{Config, Handle};
use russh::{Preferred, cipher, kex};
use std::borrow::Cow;
use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// curve25519 costs both ends a third of what OpenSSH's default costs; hybrids come next.
const KEX: &[kex::Name] = &[
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::MLKEM768X25519_SHA256,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G14_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// aes128-gcm moves bytes 1.6 times as fast as chacha20 where the processor knows AES.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_128_CTR,
];

/// The longest pause between two questions whether the other end is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// sshd cuts connections off while too many are logging in (`MaxStartups`): then we come again.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(150);

/// Reaches a host and starts its worker. `phase` is told what goes on, for those who wait.
pub async fn connect(
    target: &Target,
    worker: &Arc<Worker>,
    phase: impl Fn(&str) + Send + Sync,
) -> Result<Session, Lost> {
    if target.local {
        phase("starting");
        return local::start(target, worker).await;
    }
    phase("connecting");
    let (mut handle, remarks) = shake_hands_patiently(target).await?;
    phase("authenticating");
    timeout(target.idle_timeout, auth::log_in(&mut handle, target))
        .await
        .map_err(|_| silent(target, "during the login", target.idle_timeout))??;
    let (mouth, ear) = open_channel(target, handle, remarks).await?;
    bootstrap::over_ssh(target, worker, mouth, ear, &phase).await
}

/// Why a handshake came to nothing.
enum Setback {
    /// Cut off at the banner: another try may succeed.
    TurnedAway(Lost),
    Final(Lost),
}

async fn shake_hands_patiently(target: &Target) -> Result<(Handle<Trust>, Remarks), Lost> {
    let addresses = timeout(target.connect_timeout, resolve(&target.address))
        .await
        .map_err(|_| {
            silent(
                target,
                "while its name was looked up",
                target.connect_timeout,
            )
        })?
        .map_err(Lost::Unreachable)?;
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        match shake_hands(target, &addresses).await {
            Ok(connected) => return Ok(connected),
            Err(Setback::Final(lost)) => return Err(lost),
            Err(Setback::TurnedAway(_)) => tokio::time::sleep(jittered(pause)).await,
        }
        pause *= 2;
    }
    shake_hands(target, &addresses)
        .await
        .map_err(|setback| match setback {
            Setback::TurnedAway(lost) | Setback::Final(lost) => lost,
        })
}

/// Half of the pause to one and a half of it: those who were turned away together must not
/// come back together.
fn jittered(pause: Duration) -> Duration {
    // The seed of a fresh hasher is random enough for this, and needs no crate.
    let random = RandomState::new().hash_one(0);
    let percent = 50 + u32::try_from(random % 100).unwrap_or(0);
    pause * percent / 100
}

async fn shake_hands(
    target: &Target,
    addresses: &[IpAddr],
) -> Result<(Handle<Trust>, Remarks), Setback> {
    let known =
        KnownHosts::load(&target.known_hosts).map_err(|f| Setback::Final(Lost::Refused(f)))?;
    let config = Arc::new(config(target, &known));
    let socket = dial(target, addresses).await.map_err(Setback::Final)?;
    let first_words = socket.first_words();
    let remarks = Remarks::default();
    let trust = Trust::new(target.clone(), known, remarks.clone());
    match timeout(
        target.connect_timeout,
        russh::client::connect_stream(config, socket, trust),
    )
    .await
    {
        Ok(Ok(handle)) => Ok((handle, remarks)),
        Ok(Err(e)) => Err(match remarks.distrust() {
            Some(lost) => Setback::Final(lost),
            None => setback(target, &first_words, &remarks, &e),
        }),
        Err(_) if first_words.line().is_empty() => Err(Setback::Final(silent(
            target,
            "after the connection was made",
            target.connect_timeout,
        ))),
        Err(_) => Err(Setback::Final(silent(
            target,
            "during the handshake",
            target.connect_timeout,
        ))),
    }
}

/// Tries the addresses one after the other; the last reason counts.
async fn dial(target: &Target, addresses: &[IpAddr]) -> Result<Socket, Lost> {
    let mut last = silent(target, "", target.connect_timeout);
    for address in addresses {
        let to = SocketAddr::new(*address, target.port);
        match timeout(target.connect_timeout, TcpStream::connect(to)).await {
            Ok(Ok(stream)) => match Socket::new(stream) {
                Ok(socket) => return Ok(socket),
                Err(e) => last = not_reached(target, to, &e),
            },
            Ok(Err(e)) => last = not_reached(target, to, &e),
            Err(_) => {
                last = Lost::Unreachable(
                    Failure::new(format!(
                        "{} does not answer at {to} within {} s",
                        target.shown(),
                        target.connect_timeout.as_secs()
                    ))
                    .help("is the machine up, and does a firewall drop packets? check `ansible_host` and `ansible_port`"),
                );
            }
        }
    }
    Err(last)
}

fn not_reached(target: &Target, to: SocketAddr, e: &std::io::Error) -> Lost {
    let help = match e.kind() {
        std::io::ErrorKind::ConnectionRefused => {
            "the machine is up and nothing listens on this port: is sshd running, is `ansible_port` right?"
        }
        std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable => {
            "there is no way to this address: check the network, the VPN and `ansible_host`"
        }
        _ => "check `ansible_host` and `ansible_port`",
    };
    Lost::Unreachable(
        Failure::new(format!("{} cannot be reached at {to}: {e}", target.shown())).help(help),
    )
}

fn silent(target: &Target, when: &str, limit: Duration) -> Lost {
    Lost::Unreachable(
        Failure::new(format!(
            "{} said nothing for {} s {when}",
            target.shown(),
            limit.as_secs()
        ))
        .help("the machine may be overloaded, or something between us holds packets back"),
    )
}

/// What a failed handshake means, read from how the other end began.
fn setback(
    target: &Target,
    first_words: &FirstWords,
    remarks: &Remarks,
    e: &russh::Error,
) -> Setback {
    let said = first_words.line();
    let why = remarks.goodbye().unwrap_or_else(|| in_words(e));
    if said.is_empty()
        || said.contains("MaxStartups")
        || said.starts_with("Not allowed at this time")
    {
        return Setback::TurnedAway(Lost::Unreachable(
            Failure::new(format!("{} hung up before the handshake, {TRIES} times", target.shown()))
                .detail((!said.is_empty()).then_some(said))
                .help("too many logins at once (sshd's `MaxStartups`), or this address is banned (`PerSourcePenalties`, fail2ban): use fewer `--forks`, or wait"),
        ));
    }
    if !said.starts_with("SSH-") {
        return Setback::Final(Lost::Unreachable(
            Failure::new(format!(
                "what answers for {} does not speak SSH: `{said}`",
                target.shown()
            ))
            .help("check `ansible_port`"),
        ));
    }
    Setback::Final(Lost::Unreachable(
        Failure::new(format!(
            "the handshake with {} failed: {why}",
            target.shown()
        ))
        .detail([format!("it calls itself {said}")]),
    ))
}

fn config(target: &Target, known: &KnownHosts) -> Config {
    let recorded = known.algorithms(&target.address, target.port);
    // Two questions unanswered mean that nobody is there: noticed within the idle timeout.
    let keepalive = KEEPALIVE.min(target.idle_timeout / 3);
    Config {
        preferred: Preferred {
            kex: Cow::Borrowed(KEX),
            key: Cow::Owned(known_hosts::preferred(&recorded)),
            cipher: Cow::Borrowed(CIPHERS),
            ..Preferred::DEFAULT
        },
        keepalive_interval: Some(keepalive),
        keepalive_max: 2,
        inactivity_timeout: Some(target.idle_timeout),
        ..Config::default()
    }
}

async fn open_channel(
    target: &Target,
    handle: Handle<Trust>,
    remarks: Remarks,
) -> Result<(Mouth, Ear), Lost> {
    let channel = within(target, handle.channel_open_session()).await?;
    let (half, write) = channel.split();
    let ear = Ear::Channel {
        half,
        ending: None,
        remarks,
    };
    Ok((Mouth::Channel(write, Arc::new(handle)), ear))
}

async fn within<T>(
    target: &Target,
    answer: impl Future<Output = Result<T, russh::Error>>,
) -> Result<T, Lost> {
    timeout(target.idle_timeout, answer)
        .await
        .map_err(|_| silent(target, "after the login", target.idle_timeout))?
        .map_err(|e| {
            Lost::Refused(
                Failure::new(format!(
                    "{} opens no session: {}",
                    target.shown(),
                    in_words(&e)
                ))
                .help("check `MaxSessions` and the user's restrictions in sshd_config"),
            )
        })
}
