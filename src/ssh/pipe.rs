//! A started program's stdin, stdout and stderr, whether it runs behind SSH or as a child here.

use super::trust::{Remarks, Trust};
use russh::ChannelMsg;
use russh::client::{Handle, Msg};
use std::io::{Error, Result};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};

/// Something that the program did.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    Out(Vec<u8>),
    Err(Vec<u8>),
    Ended(Ending),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    Code(u32),
    Signal(String),
    /// Nobody knows: the connection was lost, for this reason.
    CutOff(String),
}

/// The way in.
pub enum Mouth {
    /// The connection lives as long as this does.
    Channel(russh::ChannelWriteHalf<Msg>, Arc<Handle<Trust>>),
    Child(ChildStdin),
}

/// The way out. It must be listened to at all times: a full channel stops the whole connection,
/// keepalives included.
pub enum Ear {
    Channel {
        half: russh::ChannelReadHalf,
        ending: Option<Ending>,
        remarks: Remarks,
    },
    Child(Box<ChildEar>),
}

pub struct ChildEar {
    pub child: Child,
    pub stdout: ChildStdout,
    pub stderr: ChildStderr,
    /// Both, in this order.
    pub open: (bool, bool),
}

impl Mouth {
    /// Waits until the bytes are on their way.
    pub async fn send(&mut self, bytes: Vec<u8>) -> Result<()> {
        match self {
            Self::Channel(half, _) => half.data_bytes(bytes).await.map_err(Error::other),
            Self::Child(stdin) => {
                stdin.write_all(&bytes).await?;
                stdin.flush().await
            }
        }
    }

    /// Ends the program's input; a worker ends with it.
    pub async fn end_input(self) -> Ended {
        match self {
            Self::Channel(half, handle) => {
                // It fails only on a connection that is closed already.
                let _ = half.eof().await;
                Ended(Some(handle))
            }
            Self::Child(_) => Ended(None),
        }
    }
}

/// A program that gets no more input, and the connection to it.
pub struct Ended(Option<Arc<Handle<Trust>>>);

impl Ended {
    pub async fn hang_up(self) {
        if let Some(handle) = self.0 {
            // Politeness: without it the connection is simply cut.
            let _ = handle
                .disconnect(russh::Disconnect::ByApplication, "", "")
                .await;
        }
    }
}

impl Ear {
    /// The next thing heard. Nothing is lost when the caller stops waiting.
    pub async fn hear(&mut self) -> Heard {
        match self {
            Self::Channel {
                half,
                ending,
                remarks,
            } => hear_channel(half, ending, remarks).await,
            Self::Child(child) => child.hear().await,
        }
    }
}

/// The exit status may come before the last data and after EOF: only the close ends a channel.
async fn hear_channel(
    half: &mut russh::ChannelReadHalf,
    ending: &mut Option<Ending>,
    remarks: &Remarks,
) -> Heard {
    loop {
        match half.wait().await {
            Some(ChannelMsg::Data { data }) => return Heard::Out(data.to_vec()),
            Some(ChannelMsg::ExtendedData { data, .. }) => return Heard::Err(data.to_vec()),
            Some(ChannelMsg::ExitStatus { exit_status }) => {
                *ending = Some(Ending::Code(exit_status))
            }
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                *ending = Some(Ending::Signal(format!("{signal_name:?}")));
            }
            // The answer to our only request.
            Some(ChannelMsg::Failure) => {
                return Heard::Ended(Ending::CutOff("it refuses to run commands".to_owned()));
            }
            Some(ChannelMsg::Close) | None => {
                let cut_off = || {
                    let why = remarks
                        .goodbye()
                        .unwrap_or_else(|| "the other end hung up".to_owned());
                    Ending::CutOff(why)
                };
                return Heard::Ended(ending.clone().unwrap_or_else(cut_off));
            }
            Some(_) => {}
        }
    }
}

impl ChildEar {
    async fn hear(&mut self) -> Heard {
        let (mut out, mut err) = (Vec::with_capacity(16 << 10), Vec::with_capacity(4 << 10));
        while self.open != (false, false) {
            tokio::select! {
                read = self.stdout.read_buf(&mut out), if self.open.0 => match read {
                    Ok(n) if n > 0 => return Heard::Out(out),
                    _ => self.open.0 = false,
                },
                read = self.stderr.read_buf(&mut err), if self.open.1 => match read {
                    Ok(n) if n > 0 => return Heard::Err(err),
                    _ => self.open.1 = false,
                },
            }
        }
        Heard::Ended(match self.child.wait().await {
            Ok(status) => child_ending(status),
            Err(e) => Ending::CutOff(e.to_string()),
        })
    }
}

fn child_ending(status: std::process::ExitStatus) -> Ending {
    use std::os::unix::process::ExitStatusExt as _;
    match (
        status.code().and_then(|code| u32::try_from(code).ok()),
        status.signal(),
    ) {
        (Some(code), _) => Ending::Code(code),
        (None, signal) => Ending::Signal(signal.unwrap_or_default().to_string()),
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::CutOff(why) => f.write_str(why),
        }
    }
}
