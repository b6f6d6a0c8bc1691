//! The end of something that many tasks wait for, at no cost to their work.
//!
//! A [`CancellationToken`] takes two locks whenever a task that waits for it is
//! polled, and tasks here are polled several times a request. A task needs to
//! enrol once only, because its waker is the same for life; afterwards the end is
//! one flag.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// An end that has come or will come. Clones are the same end.
#[derive(Debug, Clone, Default)]
pub(crate) struct End(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    came: AtomicBool,
    token: CancellationToken,
}

impl End {
    /// Lets it come.
    pub(crate) fn come(&self) {
        self.0.came.store(true, Ordering::SeqCst);
        // After the flag: whoever enrols later finds the token cancelled.
        self.0.token.cancel();
    }

    pub(crate) fn has_come(&self) -> bool {
        self.0.came.load(Ordering::SeqCst)
    }

    /// Waits for it, in one task from the first poll to the last.
    pub(crate) fn wait(&self) -> Wait {
        Wait {
            end: self.clone(),
            enrolment: Box::pin(self.0.token.clone().cancelled_owned()),
            is_enrolled: false,
        }
    }

    /// Does `work` unless the end comes before it is done.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut end = self.wait();
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(move |cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            Pin::new(&mut end).poll(cx).map(|()| None)
        })
        .await
    }
}

/// See [`End::wait`].
#[derive(Debug)]
pub(crate) struct Wait {
    end: End,
    enrolment: Pin<Box<WaitForCancellationFutureOwned>>,
    is_enrolled: bool,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.end.has_come() {
            return Poll::Ready(());
        }
        if self.is_enrolled {
            return Poll::Pending;
        }
        self.is_enrolled = true;
        self.enrolment.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_wait_are_told() {
        let end = End::default();
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let end = end.clone();
                tokio::spawn(async move { end.or(std::future::pending::<()>()).await })
            })
            .collect();
        assert_eq!(end.or(async { 7 }).await, Some(7));
        tokio::task::yield_now().await;
        end.come();
        for task in waiting {
            assert_eq!(task.await.unwrap(), None);
        }
        end.wait().await;
    }
}
