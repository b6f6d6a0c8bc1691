//! Why a request was not forwarded, or its answer not got: one case each, with
//! what a person reads and what a client should do next. Pure.

use std::time::Duration;

use http::StatusCode;
use pando_types::{Code, PublicError};

use crate::backend::ConnectError;
use crate::head::Refusal;
use crate::host::HostError;
use crate::lane::Refused;
use crate::limits::{MAX_HEADER_BYTES, MAX_HEADERS, MAX_URL_BYTES};

/// Seconds after which an app that is being built or started is worth another try.
const RETRY_SECS: u32 = 2;
/// Seconds after which a sandbox that stands still is worth another try.
const NOT_RUNNING_RETRY_SECS: u32 = 10;

/// Seconds after which a sandbox that is being woken is worth another look.
const WAKING_RETRY_SECS: u32 = 1;
/// Seconds after which one that could not be woken is worth another try.
const NOT_WOKEN_RETRY_SECS: u32 = 5;
/// Seconds after which one of many requests under way is likely over.
const SHARE_RETRY_SECS: u32 = 1;

/// What stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The request names no host that all would agree on.
    Host(HostError),
    /// `CONNECT` asks for a tunnel to anywhere.
    Connect,
    /// An extended `CONNECT` for something else than WebSocket.
    Protocol,
    /// The head cannot be read, or not for certain, or is too much.
    Head(Refusal),
    /// The body broke off, or is not chunked as it should be.
    BrokenUpload,
    /// The server broke its own rules.
    Failed,
    /// The sandbox has its share of requests.
    Share(Refused),
    /// Under the suffix, but not a label that anything could have.
    UnknownHost,
    UnknownSandbox,
    UnknownApp,
    Gone,
    /// No deployment of the app was live yet.
    NotLive,
    NotRunning,
    /// It sleeps and is being woken: told to browsers, which ask again by themselves.
    Waking,
    /// It sleeps, and could not be woken.
    NotWoken,
    /// Nobody listened on the port for as long as a request waits.
    NotListening {
        port: u16,
    },
    /// The same, and somebody listened before.
    Stopped {
        port: u16,
    },
    Unreachable {
        port: u16,
    },
    ConnectTimeout {
        port: u16,
    },
    /// The app closed the connection or sent something else than HTTP.
    BadAnswer {
        port: u16,
    },
    /// The app was given this long to begin its answer.
    SlowAnswer {
        port: u16,
        limit: Duration,
    },
}

impl Trouble {
    /// What a failed connection to `port` means for the request.
    pub(crate) fn of_connect(error: &ConnectError, port: u16) -> Self {
        match error {
            ConnectError::Refused => Self::NotListening { port },
            ConnectError::Stopped => Self::Stopped { port },
            ConnectError::NotFound => Self::UnknownSandbox,
            ConnectError::Gone => Self::Gone,
            ConnectError::NotRunning => Self::NotRunning,
            ConnectError::Asleep | ConnectError::NotWoken(_) => Self::NotWoken,
            ConnectError::Timeout => Self::ConnectTimeout { port },
            ConnectError::Failed(_) => Self::Unreachable { port },
        }
    }

    /// What a sandbox that does not run means for the request.
    pub(crate) fn of_wake(error: &ConnectError) -> Self {
        match error {
            ConnectError::NotFound => Self::UnknownSandbox,
            ConnectError::Gone => Self::Gone,
            ConnectError::NotRunning => Self::NotRunning,
            _ => Self::NotWoken,
        }
    }

    /// The heading of the page.
    pub(crate) fn title(self) -> String {
        match self {
            Self::Host(_) | Self::Connect | Self::Protocol | Self::Head(_) | Self::BrokenUpload => {
                "Bad request".to_owned()
            }
            Self::Failed => "The server failed".to_owned(),
            Self::Share(_) => "Too many requests".to_owned(),
            Self::UnknownHost | Self::UnknownSandbox | Self::UnknownApp => "Not found".to_owned(),
            Self::Gone => "This sandbox is gone".to_owned(),
            Self::NotLive => "This app is not live yet".to_owned(),
            Self::NotRunning => "This sandbox is not running".to_owned(),
            Self::Waking => "This sandbox is waking up".to_owned(),
            Self::NotWoken => "This sandbox could not be woken".to_owned(),
            Self::NotListening { port } => format!("Nothing listens on port {port} yet"),
            Self::Stopped { port } => format!("The app on port {port} has stopped"),
            Self::Unreachable { port } | Self::ConnectTimeout { port } => {
                format!("Port {port} cannot be reached")
            }
            Self::BadAnswer { .. } => "The app broke off".to_owned(),
            Self::SlowAnswer { .. } => "The app did not answer".to_owned(),
        }
    }

    /// Whether waiting is likely to be enough: the page then tries again by itself.
    pub(crate) fn passes_by_itself(self) -> bool {
        matches!(
            self,
            Self::NotLive | Self::Waking | Self::NotListening { .. } | Self::Stopped { .. }
        )
    }

    /// Whether the next request on the connection may not be where it seems to
    /// be: what cannot be read for certain must not be read on.
    pub(crate) fn is_distrust(self) -> bool {
        matches!(self, Self::Host(_) | Self::Connect | Self::Head(_) | Self::BrokenUpload)
    }

    /// The status, where it says more than the stable code's own.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Head(Refusal::Slow) => StatusCode::REQUEST_TIMEOUT,
            Self::Head(Refusal::LongUrl) => StatusCode::URI_TOO_LONG,
            Self::Head(Refusal::Expectation) => StatusCode::EXPECTATION_FAILED,
            Self::Head(Refusal::TooLarge | Refusal::TooManyLines) => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            other => StatusCode::from_u16(other.public().code.status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// What the client is told.
    pub(crate) fn public(self) -> PublicError {
        match self {
            Self::Host(error) => PublicError::invalid("Host", error.to_string()),
            Self::Connect => {
                PublicError::new(Code::InvalidRequest, "CONNECT is not served here")
                    .hint("ask for the preview's URL itself")
            }
            Self::Protocol => {
                PublicError::new(Code::InvalidRequest, "CONNECT is for WebSocket alone here")
            }
            Self::Head(refusal) => Self::of_head(refusal),
            Self::BrokenUpload => PublicError::new(
                Code::InvalidRequest,
                "the request's body broke off or is not framed as its head says",
            ),
            Self::Failed => PublicError::internal(),
            Self::Share(Refused::TooFast { retry_secs }) => {
                PublicError::new(Code::OverQuota, "this sandbox gets too many requests a second")
                    .hint("ask again more slowly")
                    .retry_after(retry_secs)
            }
            Self::Share(Refused::TooMany(limit)) => PublicError::new(
                Code::OverQuota,
                format!("{limit} requests to this sandbox are under way already"),
            )
            .hint("ask again when some of them are over")
            .retry_after(SHARE_RETRY_SECS),
            Self::UnknownHost => PublicError::new(Code::NotFound, "no preview has this host").hint(
                "a preview's host is one label before the suffix: `<port>-<sandbox id>` or an app's",
            ),
            Self::UnknownSandbox => PublicError::new(Code::NotFound, "no sandbox has this host")
                .hint("check the id; a deleted sandbox takes its hosts along"),
            Self::UnknownApp => PublicError::new(Code::NotFound, "no app has this host")
                .hint("check the name; a preview is removed when its pull request closes"),
            Self::Gone => PublicError::new(Code::Gone, "this sandbox was deleted or has expired"),
            Self::NotLive => {
                PublicError::new(Code::Unavailable, "no deployment of this app is live yet")
                    .hint(
                        "it answers here once a deployment is healthy; \
                         the log of the latest says how far it is, or why it failed",
                    )
                    .retry_after(RETRY_SECS)
            }
            Self::NotRunning => {
                PublicError::new(Code::Unavailable, "this sandbox exists but is not running")
                    .hint("resume it, then try again")
                    .retry_after(NOT_RUNNING_RETRY_SECS)
            }
            Self::Waking => PublicError::new(
                Code::Unavailable,
                "nobody used this sandbox for a while, so it sleeps; it is being woken",
            )
            .hint("it goes on where it was")
            .retry_after(WAKING_RETRY_SECS),
            Self::NotWoken => PublicError::new(
                Code::Unavailable,
                "this sandbox is asleep and could not be woken",
            )
            .hint("nothing of it is lost; the server may be out of memory, or its owner's quota used up, \
                so try again later")
            .retry_after(NOT_WOKEN_RETRY_SECS),
            Self::NotListening { port } => {
                PublicError::new(Code::Unavailable, format!("nothing listens on port {port} yet"))
                    .hint("the sandbox is up; it answers here once its app listens")
                    .retry_after(RETRY_SECS)
            }
            Self::Stopped { port } => PublicError::new(
                Code::Unavailable,
                format!("nothing listens on port {port} any more, where an app answered before"),
            )
            .hint("the sandbox is up; the app's own log should say why it ended")
            .retry_after(RETRY_SECS),
            Self::Unreachable { port } => PublicError::new(
                Code::GuestFailed,
                format!("port {port} of the sandbox could not be reached"),
            ),
            Self::ConnectTimeout { port } => PublicError::new(
                Code::Timeout,
                format!("timeout: port {port} of the sandbox did not take the connection"),
            ),
            Self::BadAnswer { port } => PublicError::new(
                Code::GuestFailed,
                format!("the app on port {port} ended the connection without a valid HTTP answer"),
            )
            .hint("the app's own log should say why"),
            Self::SlowAnswer { port, limit } => PublicError::new(
                Code::Timeout,
                format!(
                    "timeout: the app on port {port} did not begin to answer within {} s",
                    limit.as_secs()
                ),
            ),
        }
    }

    /// What a refused head means.
    fn of_head(refusal: Refusal) -> PublicError {
        match refusal {
            Refusal::Malformed(what) => PublicError::new(Code::InvalidRequest, what),
            Refusal::TooLarge => PublicError::new(
                Code::TooLarge,
                format!("the request's head is larger than {} KiB", MAX_HEADER_BYTES / 1024),
            ),
            Refusal::TooManyLines => PublicError::new(
                Code::TooLarge,
                format!("the request has more than {MAX_HEADERS} header lines"),
            ),
            Refusal::LongUrl => PublicError::new(
                Code::TooLarge,
                format!("the request's URL is longer than {} KiB", MAX_URL_BYTES / 1024),
            ),
            Refusal::Expectation => PublicError::invalid(
                "Expect",
                "the request's `Expect` cannot be met: only `100-continue` is known",
            ),
            Refusal::Slow => PublicError::new(
                Code::Timeout,
                "timeout: the request's head did not arrive in time",
            ),
        }
    }
}
