//! How operations fail.

use std::fmt::Display;
use std::io::{self, ErrorKind};

use pando_guest_protocol::frame::FrameError;
use pando_guest_protocol::session::{Failure, FailureKind};

use rustix::io::Errno;

use crate::process::SpawnError;
use crate::repl::ReplError;

/// Why a session ends early.
#[derive(Debug)]
pub enum Stop {
    /// The operation failed, and the host is to know why.
    Failed(Failure),
    /// The host is gone, or speaks something else: there is nobody to tell.
    Broken,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<FrameError> for Stop {
    fn from(_: FrameError) -> Self {
        Self::Broken
    }
}

/// A failure in words.
pub fn failure(kind: FailureKind, message: impl Into<String>) -> Failure {
    Failure { kind, message: message.into() }
}

/// The kernel's refusal of something done to `subject`.
pub fn refused(subject: impl Display, error: &io::Error) -> Failure {
    failure(kind_of(error), format!("{subject}: {error}"))
}

/// The kind that an I/O error is.
pub fn kind_of(error: &io::Error) -> FailureKind {
    match error.kind() {
        ErrorKind::NotFound => FailureKind::NotFound,
        ErrorKind::AlreadyExists
        | ErrorKind::IsADirectory
        | ErrorKind::NotADirectory
        | ErrorKind::DirectoryNotEmpty => FailureKind::Conflict,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => FailureKind::Denied,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FailureKind::NoSpace,
        ErrorKind::InvalidInput | ErrorKind::InvalidFilename | ErrorKind::ArgumentListTooLong => {
            FailureKind::Invalid
        }
        ErrorKind::ConnectionRefused => FailureKind::Refused,
        _ => match Errno::from_io_error(error) {
            Some(Errno::LOOP) => FailureKind::Invalid,
            // The guest is in trouble, whatever was asked of it.
            None | Some(Errno::IO | Errno::NOMEM | Errno::AGAIN | Errno::MFILE | Errno::NFILE) => {
                FailureKind::Other
            }
            // Busy, on another file system, not seekable: what is there stands against it.
            Some(_) => FailureKind::Conflict,
        },
    }
}

impl From<SpawnError> for Stop {
    fn from(error: SpawnError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<ReplError> for Stop {
    fn from(error: ReplError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<SpawnError> for Failure {
    fn from(error: SpawnError) -> Self {
        let kind = match &error {
            SpawnError::NoProgram | SpawnError::Argument(_) | SpawnError::Variable(_) => {
                FailureKind::Invalid
            }
            SpawnError::UnknownUser(_) => FailureKind::NoUser,
            SpawnError::NoDirectory(_) | SpawnError::NoRoot(_) => FailureKind::NoDirectory,
            SpawnError::NotInPath(_) | SpawnError::NoFile(_) => FailureKind::NotFound,
            SpawnError::NotExecutable(_) => FailureKind::Denied,
            SpawnError::Start { source, .. } | SpawnError::Prepare(source) => kind_of(source),
        };
        failure(kind, error.to_string())
    }
}
