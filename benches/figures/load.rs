//! Calls, many at once, for a while.

use std::time::{Duration, Instant};

use tonic::transport::{Channel, Endpoint};

use crate::service::Service;

const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 64;

/// What a load came to.
pub struct Load {
    pub per_second: f64,
    /// Of the server, for each call.
    pub cpu_micros: f64,
}

pub async fn channels(service: &Service) -> Vec<Channel> {
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(Endpoint::new(service.address.clone()).unwrap().connect().await.unwrap());
    }
    channels
}

/// As many calls as the service takes, for this long.
pub async fn saturate<F: Future<Output = ()> + Send + 'static>(
    service: &Service,
    channels: &[Channel],
    duration: Duration,
    call: impl Fn(Channel, usize) -> F,
) -> Load {
    let (begin, cpu) = (Instant::now(), service.cpu_seconds());
    let mut calls = tokio::task::JoinSet::new();
    let mut begun = 0;
    let mut next = |calls: &mut tokio::task::JoinSet<()>| {
        calls.spawn(call(channels[begun % channels.len()].clone(), begun));
        begun += 1;
    };
    (0..IN_FLIGHT).for_each(|_| next(&mut calls));
    let mut done = 0u32;
    while begin.elapsed() < duration {
        calls.join_next().await.unwrap().unwrap();
        done += 1;
        next(&mut calls);
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap();
        done += 1;
    }
    let cpu = service.cpu_seconds() - cpu;
    Load { per_second: f64::from(done) / begin.elapsed().as_secs_f64(), cpu_micros: cpu * 1e6 / f64::from(done) }
}

/// So many calls a second, whether those before are answered or not, for this long.
pub async fn pace<F: Future<Output = ()> + Send + 'static>(
    channels: &[Channel],
    per_second: f64,
    duration: Duration,
    call: impl Fn(Channel, usize) -> F,
) {
    let begin = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    let mut begun = 0;
    while begin.elapsed() < duration {
        let due = (begin.elapsed().as_secs_f64() * per_second) as usize;
        while begun < due {
            calls.spawn(call(channels[begun % channels.len()].clone(), begun));
            begun += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        while let Some(done) = calls.try_join_next() {
            done.unwrap();
        }
    }
    calls.join_all().await;
}

pub fn median(loads: &[Load], figure: impl Fn(&Load) -> f64) -> f64 {
    let mut figures: Vec<f64> = loads.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
