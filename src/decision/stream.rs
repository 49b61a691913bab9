//! CheckStream: questions as they come, answered as they can be.
//!
//! A question that finds its organization warm is answered at once; one that must wait waits beside the others, in a
//! task of its own. It may hold what everybody needs, a connection to the database above all: so it must come to its end
//! also while nobody asks the stream for answers.

use std::{pin::Pin, sync::Arc, time::Duration};

use async_stream::try_stream;
use futures_util::{StreamExt as _, future::poll_immediate};
use tokio_stream::Stream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Status, Streaming};

use super::{rpc::read_check, wire};
use crate::{
    auth::Caller,
    error::{Error, Reason, Result},
    fields::Fields,
    proto::v1::{self as pb, check_stream_response::Outcome},
    service::Service,
};

/// How many questions of one stream wait at once: more are not read until one is answered.
const WAITING_MAX: usize = 64;
/// After how long it is asked again whether the caller's credential still holds.
const VERIFY: Duration = Duration::from_secs(5);

/// The answers of one stream.
pub type Answers = Pin<Box<dyn Stream<Item = Result<pb::CheckStreamResponse, Status>> + Send>>;

/// What a stream does next.
enum Next {
    Answer(Result<pb::CheckStreamResponse, Status>),
    Verify,
    Stop,
}

/// Answers the questions of a stream.
pub fn answers(service: Service, request: Request<Streaming<pb::CheckStreamRequest>>) -> Result<Answers> {
    let caller = service.caller(&request)?;
    let asking = Arc::new((service.clone(), caller.clone()));
    let questions = request.into_inner();
    let mut answers = Box::pin(
        questions.map(move |question| at_once_or_beside(asking.clone(), question)).buffer_unordered(WAITING_MAX),
    );
    Ok(Box::pin(try_stream! {
        let mut verify = tokio::time::interval(VERIFY);
        loop {
            let next = tokio::select! {
                answer = answers.next() => match answer {
                    Some(answer) => Next::Answer(answer),
                    None => break,
                },
                _ = verify.tick() => Next::Verify,
                () = service.log.stop.cancelled() => Next::Stop,
            };
            match next {
                Next::Answer(answer) => yield answer?,
                Next::Verify => service.credentials.ensure_in_force(&caller.who, service.clock.now()).await?,
                Next::Stop => Err(Error::new(Reason::ShuttingDown, "the service is stopping: ask another replica"))?,
            }
        }
    }))
}

async fn at_once_or_beside(
    asking: Arc<(Service, Caller)>,
    question: Result<pb::CheckStreamRequest, Status>,
) -> Result<pb::CheckStreamResponse, Status> {
    let mut answer = Box::pin(answer(asking, question));
    if let Some(answer) = poll_immediate(&mut answer).await {
        return answer;
    }
    AbortOnDropHandle::new(tokio::spawn(answer)).await.map_err(Error::internal)?
}

async fn answer(
    asking: Arc<(Service, Caller)>,
    question: Result<pb::CheckStreamRequest, Status>,
) -> Result<pb::CheckStreamResponse, Status> {
    let pb::CheckStreamRequest { tag, check } = question?;
    let outcome = match answer_one(&asking.0, &asking.1, &check.unwrap_or_default()).await {
        Ok(answer) => Outcome::Answer(answer),
        Err(error) => Outcome::Error(wire::check_error(&error)),
    };
    Ok(pb::CheckStreamResponse { tag, outcome: Some(outcome) })
}

/// Answers one question. A stream is about many organizations: a user's right to ask is looked at for each.
pub async fn answer_one(service: &Service, caller: &Caller, check: &pb::CheckRequest) -> Result<pb::CheckResponse> {
    let now = service.clock.now();
    service.authority(caller, check.organization_id.parse().ok(), now).await?;
    let mut fields = Fields::new();
    let (organization_id, asked) = read_check(&mut fields, check);
    fields.done()?;
    let consistency = wire::consistency(caller.tenant_id, check.consistency.as_ref())?;
    service.answer(caller.tenant_id, organization_id, &asked, consistency, now).await
}
