//! Connections: accept, TLS, HTTP/1.1 and 2, deadlines, and a stop that finishes what is under way.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::message::Response;

/// The deadlines and bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For a TLS handshake.
    pub handshake: Duration,
    /// For the head of a connection's first request.
    pub header: Duration,
    /// For the head of each further one: a slow head costs no more than the idle connection that it comes on.
    pub idle: Duration,
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// For what is under way when the listener stops.
    pub drain: Duration,
}

/// How long a connection is kept for its next request. Clients with a pool (.NET keeps connections idle for one minute, Go for
/// one and a half) must be the first to let go: a server that does is raced by the next request, and a POST that met a
/// closing connection is not repeated.
pub const IDLE: Duration = Duration::from_mins(2);

/// Serves `listener` until `stop` is cancelled, then finishes the requests under way within the drain deadline.
pub async fn serve<H, F>(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    bounds: Bounds,
    stop: CancellationToken,
    handle: H,
) where
    H: Fn(http::Request<Incoming>, IpAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let acceptor = tls.map(TlsAcceptor::from);
    let connections = Arc::new(Semaphore::new(bounds.connections));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = async {
            // The semaphore is never closed, so only the accept can fail.
            let room = Arc::clone(&connections).acquire_owned().await;
            (room, listener.accept().await)
        };
        let (room, stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accepted => match accepted {
                (Ok(room), Ok((stream, peer))) => (room, stream, peer),
                (_, Err(error)) => {
                    // Out of file descriptors, most likely: wait for some to be given back rather than spin.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
                (Err(_), _) => break,
            },
        };
        let (acceptor, handle, watcher, stop) = (acceptor.clone(), handle.clone(), graceful.watcher(), stop.clone());
        tokio::spawn(async move {
            let _room = room;
            let _ = stream.set_nodelay(true);
            let Some(acceptor) = acceptor else {
                return connection(stream, peer, bounds, watcher, handle).await;
            };
            tokio::select! {
                // No request is under way yet: a stop need not wait for whoever is slow to shake hands.
                () = stop.cancelled() => {}
                shaken = timeout(bounds.handshake, acceptor.accept(stream)) => match shaken {
                    Ok(Ok(stream)) => connection(stream, peer, bounds, watcher, handle).await,
                    Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                    Err(_) => tracing::debug!("TLS handshake was not finished in time"),
                },
            }
        });
    }
    drop(listener);
    if timeout(bounds.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            after_s = bounds.drain.as_secs(),
            "requests were still under way when the drain deadline passed"
        );
    }
}

async fn connection<S, H, F>(stream: S, peer: SocketAddr, bounds: Bounds, watcher: Watcher, handle: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(http::Request<Incoming>, IpAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(bounds.idle).max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(bounds.header)
        .max_concurrent_streams(128)
        .max_header_list_size(32 * 1024);
    let asked = Arc::new(AtomicBool::new(false));
    let first = Arc::clone(&asked);
    let service = service_fn(move |request| {
        first.store(true, Ordering::Relaxed);
        let answer = handle(request, peer.ip());
        async move { Ok::<_, Infallible>(answer.await) }
    });
    tokio::select! {
        served = watcher.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned()) => {
            if let Err(error) = served {
                tracing::debug!(%error, "connection ended early");
            }
        }
        () = silence(bounds.header, &asked) => tracing::debug!("nothing was asked in time"),
    }
}

/// Ends after `limit` if nothing has been asked by then, else never. hyper's own deadline begins only when the first bytes
/// have told HTTP/1.1 from 2, which a client can put off for ever.
async fn silence(limit: Duration, asked: &AtomicBool) {
    tokio::time::sleep(limit).await;
    if asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use tokio::net::TcpStream;

    use super::*;
    use crate::http::message::answer;

    /// A deadline that is long over when a second connection has met it.
    const BOUNDS: Bounds = Bounds {
        handshake: Duration::from_secs(5),
        header: Duration::from_millis(100),
        idle: Duration::from_mins(1),
        connections: 8,
        drain: Duration::from_secs(5),
    };

    async fn server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hello = |_, _| async { answer(StatusCode::OK, "text/plain", "hello") };
        tokio::spawn(serve(listener, None, BOUNDS, CancellationToken::new(), hello));
        address
    }

    /// Says something and waits until the server hangs up.
    async fn hung_up_on(server: SocketAddr, said: &str) {
        let mut stream = TcpStream::connect(server).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let end = timeout(Duration::from_secs(20), stream.read_to_end(&mut Vec::new())).await;
        assert!(end.is_ok(), "{said:?} keeps a connection open");
    }

    #[tokio::test]
    async fn who_asks_nothing_is_shown_out() {
        let server = server().await;
        for said in ["", "P", "GET /", "GET / HTTP/1.1\r\nhost: x\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            hung_up_on(server, said).await;
        }
    }

    #[tokio::test]
    async fn a_connection_is_kept_for_the_next_request() {
        let server = server().await;
        let mut kept = TcpStream::connect(server).await.unwrap();
        for _ in 0..2 {
            kept.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let mut buffer = [0; 1024];
            let length = kept.read(&mut buffer).await.unwrap();
            assert!(buffer[..length].starts_with(b"HTTP/1.1 200"));
            hung_up_on(server, "").await;
        }
    }
}
