//! An orderly end: a word that everybody hears, and those who have not finished.

use tokio::sync::watch;

/// Says when it is time to end, and waits for those who watch. Clones speak for one another.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown {
    sender: watch::Sender<bool>,
}

/// Hears the word. Whoever holds one has not finished.
#[derive(Debug)]
pub(crate) struct Watcher {
    receiver: watch::Receiver<bool>,
}

// === impl Shutdown ===

impl Shutdown {
    pub(crate) fn new() -> Self {
        Self { sender: watch::Sender::new(false) }
    }

    pub(crate) fn watcher(&self) -> Watcher {
        Watcher { receiver: self.sender.subscribe() }
    }

    /// Says the word, and returns when nobody watches any more.
    pub(crate) async fn finish(&self) {
        self.sender.send_replace(true);
        self.sender.closed().await;
    }

    pub(crate) fn is_ending(&self) -> bool {
        *self.sender.borrow()
    }
}

// === impl Watcher ===

impl Watcher {
    /// Returns when the word has been said, or can be said no more.
    pub(crate) async fn asked(&mut self) {
        drop(self.receiver.wait_for(|asked| *asked).await);
    }
}
