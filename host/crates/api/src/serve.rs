//! Serving a router until told to stop.

use std::io;

use axum::Router;
use tokio::net::TcpListener;

/// Answers requests until `shutdown` is ready, then finishes those in progress.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}
