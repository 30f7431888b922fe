//! Totals of the cluster, for a collector of OpenTelemetry.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use crate::error::EventsError;
use crate::events::Events;
use crate::histogram::{LOWEST, upper};
use crate::series::Series;
use crate::store::{Store as _, whole_millis};
use crate::tally::Tally;
use crate::totals::{self, Kind, Totals};

/// What a bucket's bounds grow by: a doubling has 2⁴ of them.
const SCALE: i32 = 4;
/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where totals are pushed cannot be that.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CollectorError {
    given: String,
    why: &'static str,
}

// === impl Events ===

impl Events {
    /// What all processes have counted since the month began (UTC), as an `ExportMetricsServiceRequest` of OTLP in protobuf: cumulative sums and exponential
    /// histograms, which lose nothing.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn otlp(&self, service: &str) -> Result<Bytes, EventsError> {
        self.totals().await.map(|totals| request(&totals, service).encode_to_vec().into())
    }

    /// Pushes totals to a collector by OTLP over HTTP, for ever, every so often: spawn it in each process. Of all processes that do, one pushes at a time;
    /// another one takes over when it is gone.
    ///
    /// The collector is reached as `http://host:4318/v1/metrics`; TLS is the matter of a collector on the same machine. What it does not take is warned
    /// about, and totals lose nothing by it.
    ///
    /// # Errors
    /// At once, for a URL that is none, or is not `http`.
    pub fn push_otlp(
        &self,
        collector: &str,
        service: &str,
        every: Duration,
    ) -> Result<impl Future<Output = ()> + Send + 'static, CollectorError> {
        let error = |why| CollectorError { given: collector.to_owned(), why };
        let uri: Uri = collector.parse().map_err(|_| error("not a URL, such as http://127.0.0.1:4318/v1/metrics"))?;
        if uri.scheme_str() != Some("http") || uri.authority().is_none() {
            return Err(error("not a URL that begins with http://"));
        }
        let (events, service) = (self.clone(), service.to_owned());
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(async move {
            let mut failing = false;
            loop {
                tokio::time::sleep(every).await;
                let pushed = events.push(&client, &uri, &service, every).await;
                match &pushed {
                    Err(why) if !failing => {
                        tracing::warn!(target: "buttress_events", %uri, why, "totals were not pushed")
                    }
                    Ok(()) if failing => tracing::info!(target: "buttress_events", %uri, "totals are pushed again"),
                    _ => {}
                }
                failing = pushed.is_err();
            }
        })
    }

    /// If it is this process' turn.
    async fn push(
        &self,
        client: &Client<HttpConnector, Full<Bytes>>,
        uri: &Uri,
        service: &str,
        every: Duration,
    ) -> Result<(), String> {
        let leads = self.shared.store.lead(whole_millis(every) * 5 / 2).await.map_err(|away| away.to_string())?;
        if !leads {
            return Ok(());
        }
        let body = self.otlp(service).await.map_err(|error| error.to_string())?;
        let request = Request::post(uri.clone()).header(CONTENT_TYPE, "application/x-protobuf").body(Full::new(body));
        let request = request.map_err(|error| error.to_string())?;
        match tokio::time::timeout(PATIENCE, client.request(request)).await {
            Ok(Ok(response)) if response.status() == StatusCode::OK => Ok(()),
            Ok(Ok(response)) => Err(format!("the collector answers {}", response.status())),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the collector does not answer".to_owned()),
        }
    }
}

fn request(totals: &Totals, service: &str) -> ExportMetricsServiceRequest {
    let metrics = totals.by_name().map(|(name, kind, series)| {
        let temporality = AggregationTemporality::Cumulative.into();
        let data = match kind {
            Kind::Sum => Data::Sum(Sum {
                data_points: series.iter().map(|(series, tally)| number(totals, series, tally)).collect(),
                aggregation_temporality: temporality,
                is_monotonic: true,
            }),
            Kind::Distribution => Data::ExponentialHistogram(ExponentialHistogram {
                data_points: series.iter().map(|(series, tally)| distribution(totals, series, tally)).collect(),
                aggregation_temporality: temporality,
            }),
        };
        let unit = totals::unit(name).unwrap_or_default().to_owned();
        Metric { name: name.to_owned(), unit, data: Some(data), ..Metric::default() }
    });
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_metrics = ScopeMetrics { scope: Some(scope), metrics: metrics.collect(), ..ScopeMetrics::default() };
    let resource = Resource { attributes: vec![attribute("service.name", service)], ..Resource::default() };
    let all =
        ResourceMetrics { resource: Some(resource), scope_metrics: vec![scope_metrics], ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![all] }
}

fn number(totals: &Totals, series: &Series, tally: &Tally) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(series),
        start_time_unix_nano: totals.since * 1_000_000,
        time_unix_nano: totals.as_of * 1_000_000,
        value: Some(Number::AsInt(i64::try_from(tally.count).unwrap_or(i64::MAX))),
        ..NumberDataPoint::default()
    }
}

fn distribution(totals: &Totals, series: &Series, tally: &Tally) -> ExponentialHistogramDataPoint {
    let mut zero_count = 0;
    let mut positive = Buckets::default();
    for (bucket, count) in tally.buckets.iter() {
        if bucket == LOWEST {
            zero_count = count;
        } else if positive.bucket_counts.is_empty() {
            positive = Buckets { offset: bucket.into(), bucket_counts: vec![count] };
        } else {
            let place = usize::try_from(i32::from(bucket) - positive.offset).unwrap_or_default();
            positive.bucket_counts.resize(place, 0);
            positive.bucket_counts.push(count);
        }
    }
    ExponentialHistogramDataPoint {
        attributes: attributes(series),
        start_time_unix_nano: totals.since * 1_000_000,
        time_unix_nano: totals.as_of * 1_000_000,
        count: tally.buckets.count(),
        sum: Some(tally.sum),
        scale: SCALE,
        zero_count,
        positive: Some(positive),
        zero_threshold: upper(LOWEST),
        ..ExponentialHistogramDataPoint::default()
    }
}

fn attributes(series: &Series) -> Vec<KeyValue> {
    series.labels.iter().map(|(key, value)| attribute(key, value)).collect()
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

// === impl CollectorError ===

impl fmt::Display for CollectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\": {}", self.given, self.why)
    }
}

impl std::error::Error for CollectorError {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::series::{REQUESTS, SeriesRef};

    #[test]
    fn a_distribution_loses_nothing() {
        let mut tally = Tally::default();
        [0.0, 0.25, 0.25, 0.3, 4.0].into_iter().for_each(|value| tally.observe(value));
        let series = vec![(Arc::new(Series::new(SeriesRef { name: REQUESTS, labels: &[("route", "/a")] })), tally)];
        let request = request(&Totals { since: 1, as_of: 2, series }, "shop");
        let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
        let Some(Data::ExponentialHistogram(histogram)) = &metric.data else { panic!("{metric:?}") };
        let point = &histogram.data_points[0];
        assert_eq!((point.count, point.zero_count, point.start_time_unix_nano), (5, 1, 1_000_000));
        let positive = point.positive.as_ref().unwrap();
        // 0.25 = 2⁻² is the largest of bucket −33, 4 = 2² of bucket 31.
        assert_eq!((positive.offset, positive.bucket_counts.len()), (-33, 65));
        let [first, .., last] = &positive.bucket_counts[..] else { panic!("{positive:?}") };
        assert_eq!((*first, *last, positive.bucket_counts.iter().sum::<u64>()), (2, 1, 4));
    }

    #[tokio::test]
    async fn a_collector_is_reached_by_http() {
        for url in ["", "collector:4318", "https://collector/", "http:///v1/metrics"] {
            let refused = Events::embedded().push_otlp(url, "shop", Duration::from_secs(1)).err();
            assert!(refused.unwrap().to_string().contains(&format!("\"{url}\"")));
        }
    }
}
