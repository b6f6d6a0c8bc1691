//! Commands that read and write the rows themselves: they need no key, and work
//! whether the server runs or not.

use std::path::PathBuf;

use pando_store::Store;

use crate::error::Failure;

/// The rows' file in the data folder.
const DATABASE_FILE: &str = "pando.db";

/// Whose rows.
#[derive(Debug, Clone, clap::Args)]
pub struct RowsArgs {
    /// The server's data folder
    #[arg(long, env = "PANDO_DATA", default_value = "/var/lib/pando")]
    data: PathBuf,
}

impl RowsArgs {
    /// Opens them.
    pub async fn open(&self) -> Result<Store, Failure> {
        let path = self.data.join(DATABASE_FILE);
        // Opening would make it, in what may be the wrong folder.
        if !path.is_file() {
            let error = anyhow::anyhow!("{} holds no Pando data", self.data.display());
            return Err(Failure::new(
                error,
                "start `pando serve` once, or name its folder with --data",
            ));
        }
        Store::open(&path)
            .await
            .map_err(|error| Failure::new(error, "run it as the user that runs `pando serve`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_without_data_stays_as_it_is() {
        let data = tempfile::tempdir().unwrap();
        let args = RowsArgs { data: data.path().into() };
        assert!(args.open().await.is_err());
        assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
    }
}
