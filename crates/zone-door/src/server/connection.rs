//! One client: its calls, in the order in which it sent them.

use std::rc::Rc;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::net::UnixStream;
use tokio::select;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::{consume_budget, spawn_local};

use super::io::{Gone, Io};
use super::slots::{Activity, Place};
use super::{Handler, Reporter, Shared};
use crate::params::{self, InvalidParameter, Params};
use crate::service::{Description, Info, SERVICE, ServiceError};
use crate::wire::{Call, Frame};
use crate::{Caller, DoorError, Event, INTERFACE, OpResult, Progress, Request, Status};

/// The replies, in the shapes of the interface file.
#[derive(Serialize)]
struct ProgressReply {
    progress: Progress,
}

#[derive(Serialize)]
struct ResultReply {
    result: OpResult,
}

#[derive(Serialize)]
struct StatusReply {
    status: Status,
}

#[derive(Serialize)]
struct EventReply {
    event: Event,
}

/// How a call wants to be answered.
#[derive(Clone, Copy)]
enum Answer {
    Once,
    Stream,
    Never,
}

impl From<InvalidParameter> for ServiceError {
    fn from(InvalidParameter(parameter): InvalidParameter) -> Self {
        Self::InvalidParameter { parameter }
    }
}

/// Serves a client until it leaves.
pub(super) async fn run<H: Handler>(shared: Rc<Shared<H>>, stream: UnixStream, caller: Caller, place: Place) {
    let mut connection = Connection { shared, io: Io::new(stream), caller, place };
    while connection.serve_one().await.is_ok() {}
}

struct Connection<H> {
    shared: Rc<Shared<H>>,
    io: Io,
    caller: Caller,
    place: Place,
}

impl<H: Handler> Connection<H> {
    /// Reads one message and answers it.
    async fn serve_one(&mut self) -> Result<(), Gone> {
        let message = match self.io.next().await? {
            Frame::Message(message) => message,
            Frame::TooLong => {
                tracing::debug!(self.caller.pid, "a message at the door is too long");
                return self.io.send(&ServiceError::bad_message()).await;
            }
        };
        // A client that never stops calling must not keep the thread to itself.
        consume_budget().await;
        let Ok(call) = serde_json::from_slice::<Call<'_>>(&message) else {
            return self.io.send(&ServiceError::bad_message()).await;
        };
        let answer = match (call.oneway, call.more) {
            (Some(true), _) => Answer::Never,
            (_, Some(true)) => Answer::Stream,
            _ => Answer::Once,
        };
        let done = self.dispatch(&call, answer).await;
        self.place.set(Activity::Idle);
        done
    }

    async fn dispatch(&mut self, call: &Call<'_>, answer: Answer) -> Result<(), Gone> {
        let name = call.method.as_ref();
        let (interface, method) = name.rsplit_once('.').unwrap_or(("", name));
        if call.upgrade == Some(true) {
            return self.reply(answer, Err::<(), _>(not_implemented(name))).await;
        }
        match (interface, method) {
            (SERVICE, "GetInfo") => {
                let info = none(call.parameters).map(|()| Info::new());
                self.reply(answer, info).await
            }
            (SERVICE, "GetInterfaceDescription") => {
                let description = described(call.parameters).and_then(Description::of);
                self.reply(answer, description).await
            }
            (SERVICE, _) => self.reply(answer, Err::<(), _>(not_found(name))).await,
            (INTERFACE, _) if !self.shared.handler.permits(self.caller) => {
                tracing::warn!(self.caller.pid, self.caller.uid, name, "the door refused a caller");
                let text = format!("user {} may not administer this zone; ask as root", self.caller.uid);
                self.reply(answer, Err::<(), _>(DoorError::not_authorized(text))).await
            }
            (INTERFACE, "GetStatus") => {
                let status =
                    none(call.parameters).map(|()| StatusReply { status: self.shared.handler.status() });
                self.reply(answer, status).await
            }
            (INTERFACE, "Monitor") => match (none(call.parameters), answer) {
                (Err(error), _) => self.reply(answer, Err::<(), _>(error)).await,
                (Ok(()), Answer::Stream) => self.monitor().await,
                (Ok(()), _) => self.reply(answer, Err::<(), _>(ServiceError::ExpectedMore {})).await,
            },
            (INTERFACE, _) => match params::request(method, call.parameters) {
                Some(Ok(request)) => self.operate(request, self.asker(call), answer).await,
                Some(Err(error)) => self.reply(answer, Err::<(), _>(ServiceError::from(error))).await,
                None => self.reply(answer, Err::<(), _>(not_found(name))).await,
            },
            _ => {
                let interface = interface.to_owned();
                self.reply(answer, Err::<(), _>(ServiceError::InterfaceNotFound { interface })).await
            }
        }
    }

    /// Who asks: the caller, or whom root names.
    fn asker(&self, call: &Call<'_>) -> Caller {
        call.behalf.filter(|_| self.caller.uid == 0).map_or(self.caller, Into::into)
    }

    /// Runs an operation in a task of its own, which outlives this connection.
    async fn operate(&mut self, request: Request, caller: Caller, answer: Answer) -> Result<(), Gone> {
        if self.shared.dying.get() {
            return self.reply(answer, Err::<(), _>(DoorError::Dying {})).await;
        }
        let (reporter, mut progress) = match answer {
            Answer::Stream => {
                let (reporter, progress) = Reporter::channel();
                (reporter, Some(progress))
            }
            Answer::Once | Answer::Never => (Reporter::silent(), None),
        };
        self.place.set(Activity::Working);
        let in_flight = self.shared.calls.begin();
        let handler = Rc::clone(&self.shared.handler);
        let mut task = spawn_local(async move {
            // The mark goes where the result goes: it is taken off when the reply is written or nobody wants it.
            (handler.operate(request, caller, reporter).await, in_flight)
        });
        let ended = loop {
            let next = async {
                match &mut progress {
                    Some(progress) => progress.recv().await,
                    None => None,
                }
            };
            select! {
                biased;
                Some(progress) = next => self.io.success(ProgressReply { progress }, true).await?,
                ended = &mut task => break ended,
            }
        };
        while let Some(progress) = progress.as_mut().and_then(|progress| progress.try_recv().ok()) {
            self.io.success(ProgressReply { progress }, true).await?;
        }
        match ended {
            Ok((result, _in_flight)) => self.reply(answer, result.map(|result| ResultReply { result })).await,
            Err(_) => {
                let text = "zoneadmd failed within itself; its log says where".to_owned();
                self.reply(answer, Err::<(), _>(DoorError::failed(vec![text]))).await
            }
        }
    }

    /// Tells what happens to the zone until the client hangs up or the daemon ends.
    async fn monitor(&mut self) -> Result<(), Gone> {
        self.place.set(Activity::Monitoring);
        // Subscribed before the state is read, so that no change falls between the two.
        let mut events = self.shared.handler.events();
        let Status { state, uniqid, .. } = self.shared.handler.status();
        let mut event = Event::State { state, uniqid };
        loop {
            self.io.success(EventReply { event }, true).await?;
            event = select! {
                gone = self.io.hung_up() => return Err(gone),
                next = events.recv() => match next {
                    Ok(event) => event,
                    Err(RecvError::Lagged(count)) => Event::Lost { count },
                    Err(RecvError::Closed) => return Err(Gone),
                },
            };
        }
    }

    async fn reply<P: Serialize, E: Serialize>(
        &self,
        answer: Answer,
        reply: Result<P, E>,
    ) -> Result<(), Gone> {
        match (answer, reply) {
            (Answer::Never, _) => Ok(()),
            (_, Ok(parameters)) => self.io.success(parameters, false).await,
            (_, Err(error)) => self.io.send(&error).await,
        }
    }
}

/// The method takes no parameters.
fn none(parameters: Option<&RawValue>) -> Result<(), ServiceError> {
    Ok(Params::read(parameters)?.end()?)
}

/// The interface whose description is asked for.
fn described(parameters: Option<&RawValue>) -> Result<String, ServiceError> {
    let mut params = Params::read(parameters)?;
    let interface = params.string("interface")?.ok_or_else(|| InvalidParameter("interface".to_owned()))?;
    params.end()?;
    Ok(interface)
}

fn not_found(name: &str) -> ServiceError {
    ServiceError::MethodNotFound { method: name.to_owned() }
}

fn not_implemented(name: &str) -> ServiceError {
    ServiceError::MethodNotImplemented { method: name.to_owned() }
}
