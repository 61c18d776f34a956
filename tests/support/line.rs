//! A TCP connection that can end badly: reset before a byte of the answer (SO_LINGER 0), or closed before the last of it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How the next answer ends.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Ending {
    /// As it should.
    Whole = 0,
    /// The connection is reset instead.
    Reset = 1,
    /// The last bytes are missing and the connection is closed.
    Cut = 2,
}

/// The connection; `ending` is read at every write.
pub struct Line {
    stream: TcpStream,
    ending: Arc<AtomicU8>,
}

impl Line {
    /// A connection whose ending somebody else decides.
    pub fn new(stream: TcpStream, ending: Arc<AtomicU8>) -> Self {
        let _ = stream.set_nodelay(true);
        Self { stream, ending }
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let ending = self.ending.load(Ordering::Acquire);
        if ending == Ending::Whole as u8 {
            return Pin::new(&mut self.stream).poll_write(cx, buf);
        }
        if ending == Ending::Cut as u8 && buf.len() > 8 {
            let _ = Pin::new(&mut self.stream).poll_write(cx, &buf[..buf.len() - 8]);
        } else {
            let _ = self.stream.set_zero_linger();
        }
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
