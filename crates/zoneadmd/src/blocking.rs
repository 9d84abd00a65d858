//! Work that blocks, in a thread of its own beside the event loop.

use tokio::sync::oneshot;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoResult {
    #[error("could not start a thread")]
    Thread(#[source] std::io::Error),
    #[error("zoneadmd failed within itself; its log says where")]
    Panicked,
}

/// Runs `work` in a thread and waits for it. A host that has no thread to spare is an error and no panic; a thread that hangs
/// in the kernel keeps nobody from ending.
///
/// # Errors
/// [`NoResult`].
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, NoResult> {
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new().name("work".into()).spawn(move || {
        // Nobody waits any more for what was left behind.
        let _ = done.send(work());
        // A daemon is idle most of its life, and there is one for each zone.
        zone_sys::process::trim_heap();
    });
    thread.map_err(NoResult::Thread)?;
    result.await.map_err(|_| NoResult::Panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_done_comes_back_and_a_panic_is_an_error() {
        assert_eq!(run(|| 7).await.unwrap(), 7);
        let panicked = run(|| {
            if std::process::id() != 0 {
                panic!("as it must")
            }
        })
        .await;
        assert!(matches!(panicked, Err(NoResult::Panicked)));
    }
}
