//! What is hidden while a log is read.

use std::collections::VecDeque;

use pando_node::held::{Account, Held, NoRoom};
use pando_store::{AppRow, SealError, Sealer};

use crate::deployment::environment::Variables;
use crate::deployment::redact::Redactor;
use crate::error::DeployError;

/// Environments whose values are hidden at once. A process keeps what it was started with while
/// the app's environment changes, and a cron has what it is by then.
const MAX_KNOWN: usize = 4;

/// Why it is not known what to hide.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretsError {
    #[error("an app's environment")]
    Seal(#[from] SealError),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

impl From<SecretsError> for DeployError {
    fn from(error: SecretsError) -> Self {
        match error {
            SecretsError::Seal(error) => Self::Seal(error),
            SecretsError::NoRoom(error) => Self::Refused(error.into()),
        }
    }
}

/// The secrets that an app has, and those that it had a short while ago.
pub(super) struct Secrets {
    account: Account,
    /// The environment that was looked at last, as the row holds it.
    sealed: Vec<u8>,
    /// Latest first.
    known: VecDeque<Variables>,
    /// Of all of them: many times as large.
    pub(super) redactor: Held<Redactor>,
}

impl Secrets {
    /// Those of a row, and of no other, held for `account`.
    pub(super) fn open(
        sealer: &Sealer,
        app: &AppRow,
        account: &Account,
    ) -> Result<Self, SecretsError> {
        let redactor = Held::new(Redactor::default(), account.nothing());
        let (account, known) = (account.clone(), VecDeque::new());
        let mut secrets = Self { account, sealed: Vec::new(), known, redactor };
        secrets.look(sealer, app)?;
        Ok(secrets)
    }

    /// Adds those of a later row.
    pub(super) fn look(&mut self, sealer: &Sealer, app: &AppRow) -> Result<(), SecretsError> {
        if app.env_sealed == self.sealed {
            return Ok(());
        }
        let now = sealer.unseal_env(&app.id.to_string(), "env", &app.env_sealed)?.secrets();
        self.sealed.clone_from(&app.env_sealed);
        if self.known.front() != Some(&now) {
            self.known.push_front(now);
            self.known.truncate(MAX_KNOWN);
            let redactor = Redactor::of(self.known.iter().flat_map(Variables::values));
            let charge = self.account.take(redactor.bytes())?;
            self.redactor = Held::new(redactor, charge);
        }
        Ok(())
    }
}
