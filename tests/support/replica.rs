//! More servers on one database: beside another one, or after it.

use roster::{
    config::Config,
    server::{self, Running},
};
use tokio_util::sync::CancellationToken;

use super::{Caller, TestServer, config};

/// Another server on the database of one.
pub struct Replica {
    pub root: Caller,
    pub address: String,
    stop: CancellationToken,
    running: Option<Running>,
}

impl Replica {
    /// Whoever calls one server, calling this one.
    pub async fn caller(&self, like: &Caller) -> Caller {
        like.at(&self.address).await
    }

    /// Stops, and gives its connections back: a database has only so many.
    pub async fn stop(mut self) {
        self.stop.cancel();
        self.running.take().expect("once").stopped().await.expect("stops");
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl TestServer {
    /// Another server beside this one, by the same clock. It knows nothing yet. Only PostgreSQL can be shared.
    pub async fn replica(&self, change: impl FnOnce(&mut Config)) -> Replica {
        let stop = CancellationToken::new();
        let (running, address) = self.another(change, &stop).await;
        Replica { root: self.root.at(&address).await, address, stop, running: Some(running) }
    }

    /// Stops, and starts anew on the same database: it knows nothing any more, and has another address.
    pub async fn restart(&mut self, change: impl FnOnce(&mut Config)) {
        self.stop.cancel();
        self.running.take().expect("runs").stopped().await.expect("stops");
        self.stop = CancellationToken::new();
        let (running, address) = self.another(change, &self.stop).await;
        self.root = self.root.at(&address).await;
        (self.running, self.address) = (Some(running), address);
    }

    async fn another(&self, change: impl FnOnce(&mut Config), stop: &CancellationToken) -> (Running, String) {
        let mut config = config(&self.database);
        change(&mut config);
        let running = server::start(&config, self.clock.clock(), stop.clone()).await.expect("starts");
        let address = format!("http://{}", running.address);
        (running, address)
    }
}

impl Caller {
    /// The same caller, at another server.
    pub async fn at(&self, address: &str) -> Self {
        let mut other = Self::connect(address, self.client.key.clone()).await;
        other.client.tenant.clone_from(&self.client.tenant);
        other
    }
}
