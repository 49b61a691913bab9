//! Counts and times every call, per method: what an operator asks first. Said in the log when the service stops.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use http::{Request, Response};
use rustc_hash::FxHashMap;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use crate::auth::Methods;

/// Each power of two of microseconds is divided into so many buckets: a quantile is right to an eighth.
const BUCKETS_PER_OCTAVE: usize = 8;
/// Up to 2^32 µs, more than an hour.
const OCTAVES: usize = 32;

/// The series of all methods. Made once: recording takes no lock.
#[derive(Debug)]
pub struct Meter(FxHashMap<String, Series>);

/// The calls of one method.
#[derive(Debug)]
struct Series {
    refused: AtomicU64,
    /// How many took how long until their answer began.
    durations: Box<[AtomicU64]>,
}

/// What a method's calls amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// How many there were.
    pub calls: u64,
    /// How many of them were refused.
    pub refused: u64,
    /// Half took at most this long.
    pub p50: Duration,
    /// All but one in a hundred took at most this long.
    pub p99: Duration,
}

impl Meter {
    /// Nothing recorded yet.
    pub fn new(methods: &Methods) -> Self {
        Self(methods.paths().map(|path| (path.to_owned(), Series::default())).collect())
    }

    /// What was recorded of each method that was called, by its path.
    pub fn summaries(&self) -> Vec<(&str, Summary)> {
        let called = self.0.iter().filter_map(|(path, series)| Some((path.as_str(), series.summary()?)));
        let mut summaries: Vec<_> = called.collect();
        summaries.sort_unstable_by_key(|(path, _)| *path);
        summaries
    }

    /// Writes what was recorded to the log.
    pub fn log(&self) {
        for (method, Summary { calls, refused, p50, p99 }) in self.summaries() {
            let (p50_micros, p99_micros) = (p50.as_micros(), p99.as_micros());
            tracing::info!(method, calls, refused, p50_micros, p99_micros, "served");
        }
    }

    fn record(&self, path: &str, duration: Duration, refused: bool) {
        let Some(series) = self.0.get(path) else { return };
        series.durations[bucket(duration)].fetch_add(1, Ordering::Relaxed);
        series.refused.fetch_add(u64::from(refused), Ordering::Relaxed);
    }
}

impl Default for Series {
    fn default() -> Self {
        let durations = std::iter::repeat_with(AtomicU64::default).take(OCTAVES * BUCKETS_PER_OCTAVE);
        Self { refused: AtomicU64::new(0), durations: durations.collect() }
    }
}

impl Series {
    fn summary(&self) -> Option<Summary> {
        let counts: Vec<u64> = self.durations.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let calls: u64 = counts.iter().sum();
        let quantile = |percent: u64| {
            let mut left = (calls * percent).div_ceil(100).max(1);
            let reached = counts.iter().position(|count| {
                left = left.saturating_sub(*count);
                left == 0
            });
            upper_bound(reached.unwrap_or(counts.len() - 1))
        };
        let refused = self.refused.load(Ordering::Relaxed);
        (calls > 0).then(|| Summary { calls, refused, p50: quantile(50), p99: quantile(99) })
    }
}

/// Which bucket a duration is in: its highest bit in microseconds, and the three bits behind that.
fn bucket(duration: Duration) -> usize {
    let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX).max(1) as usize;
    let octave = micros.ilog2() as usize;
    let within = ((micros * BUCKETS_PER_OCTAVE) >> octave) - BUCKETS_PER_OCTAVE;
    octave * BUCKETS_PER_OCTAVE + within
}

/// The longest duration of a bucket.
fn upper_bound(bucket: usize) -> Duration {
    let (octave, within) = (bucket / BUCKETS_PER_OCTAVE, bucket % BUCKETS_PER_OCTAVE);
    let micros = ((BUCKETS_PER_OCTAVE + within + 1) as u64) << octave;
    Duration::from_nanos(micros * 1_000 / BUCKETS_PER_OCTAVE as u64)
}

/// Puts the meter in front of a server.
#[derive(Debug, Clone)]
pub struct MeterLayer(Arc<Meter>);

impl MeterLayer {
    /// Records in this meter.
    pub fn new(meter: Arc<Meter>) -> Self {
        Self(meter)
    }
}

impl<S> Layer<S> for MeterLayer {
    type Service = Metered<S>;

    fn layer(&self, inner: S) -> Metered<S> {
        Metered { meter: self.0.clone(), inner }
    }
}

/// A server behind a meter.
#[derive(Debug, Clone)]
pub struct Metered<S> {
    meter: Arc<Meter>,
    inner: S,
}

impl<S> Service<Request<Body>> for Metered<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Unpin,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Recorded<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (meter, uri, begun) = (self.meter.clone(), request.uri().clone(), Instant::now());
        Recorded { call: self.inner.call(request), meter, uri, begun }
    }
}

/// A call that is recorded when its answer begins. One that the caller gave up is not.
pub struct Recorded<F> {
    call: F,
    meter: Arc<Meter>,
    uri: http::Uri,
    begun: Instant,
}

impl<F: Future<Output = Result<Response<Body>, E>> + Unpin, E> Future for Recorded<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let answer = ready!(Pin::new(&mut self.call).poll(cx));
        let status = answer.as_ref().ok().and_then(|answer| answer.headers().get(Status::GRPC_STATUS));
        let refused = answer.is_err() || status.is_some_and(|code| Code::from_bytes(code.as_bytes()) != Code::Ok);
        self.meter.record(self.uri.path(), self.begun.elapsed(), refused);
        Poll::Ready(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_an_eighth() {
        let meter = Meter(FxHashMap::from_iter([("/a".to_owned(), Series::default())]));
        assert_eq!(meter.summaries(), []);
        for micros in 1..=10_000 {
            meter.record("/a", Duration::from_micros(micros), micros % 10 == 0);
        }
        meter.record("/unknown", Duration::from_micros(1), false);
        let summaries = meter.summaries();
        let [("/a", summary)] = summaries[..] else { panic!("{summaries:?}") };
        assert_eq!((summary.calls, summary.refused), (10_000, 1_000));
        for (quantile, micros) in [(summary.p50, 5_000.0), (summary.p99, 9_900.0)] {
            let ratio = quantile.as_secs_f64() * 1e6 / micros;
            assert!((1.0..=1.13).contains(&ratio), "{quantile:?}");
        }
    }

    #[test]
    fn every_duration_has_a_bucket() {
        for duration in [Duration::ZERO, Duration::from_nanos(1), Duration::from_micros(7), Duration::MAX] {
            let bucket = bucket(duration);
            assert!(bucket < OCTAVES * BUCKETS_PER_OCTAVE, "{duration:?}: {bucket}");
        }
    }
}
