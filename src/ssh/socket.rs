//! Our end of a TCP connection, for what russh leaves to its caller: it acknowledges at once, and it
//! remembers how the other end began.

use std::io::Result;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How much of the beginning is remembered, in bytes.
const REMEMBERED: usize = 255;

/// A connection that does not wait: neither to collect small writes, nor to acknowledge. During a login
/// both ends wait for each other's few bytes, and the kernel's delayed acknowledgement costs 40 ms.
pub struct Socket {
    stream: TcpStream,
    first_words: FirstWords,
}

/// What the other end said first: `SSH-2.0-...`, or an excuse.
#[derive(Debug, Clone, Default)]
pub struct FirstWords(Arc<Mutex<Vec<u8>>>);

impl Socket {
    pub fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            first_words: FirstWords::default(),
        })
    }

    pub fn first_words(&self) -> FirstWords {
        self.first_words.clone()
    }
}

impl FirstWords {
    /// The first line, as far as it can be shown.
    pub fn line(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        let line = text.lines().next().unwrap_or_default();
        line.chars().filter(|c| !c.is_control()).collect()
    }

    fn remember(&self, bytes: &[u8]) {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = REMEMBERED.saturating_sub(words.len()).min(bytes.len());
        words.extend_from_slice(&bytes[..room]);
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready() {
            self.first_words.remember(&buffer.filled()[before..]);
            // The kernel forgets this after each exchange. Without it we are only slower.
            let _ = rustix::net::sockopt::set_tcp_quickack(&self.stream, true);
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
