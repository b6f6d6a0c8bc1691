//! The first steps: the exact commit into the mirror, and what kind of app it is.

use std::sync::Arc;

use super::run::{Halt, Run};
use super::shape::Shape;
use crate::app::git_access;
use crate::detect::{self, Plan};
use crate::error::git_message;
use crate::git::{GitError, Mirror};
use crate::machine::Size;

impl Run {
    pub(super) async fn fetch(&mut self) -> Result<Mirror, Halt> {
        let context = Arc::clone(&self.context);
        let url = context.mirrors.parse(&self.app.git_url).map_err(refused)?;
        self.say(format!(
            "Fetching {} at {}.",
            url,
            wanted_text(&self.row.git_ref, &self.row.commit)
        ))
        .await;
        let source = git_access::source(&context, &self.app, url).await?;
        let wanted = git_access::wanted(&context, &self.app, &self.row).await?;
        let mirror = context.mirrors.fetch(&source, &wanted).await.map_err(refused)?;
        let mut next = self.row.clone();
        next.commit.clone_from(&mirror.commit);
        next.settings_hash = Some(self.settings_hash());
        self.save(next).await?;
        self.say(format!("Commit {}.", mirror.commit)).await;
        Ok(mirror)
    }

    /// What kind of app it is, and why.
    pub(super) async fn detect(&mut self, mirror: &Mirror) -> Result<Plan, Halt> {
        let sources = detect::read(mirror, &self.app.root_directory).await.map_err(refused)?;
        let host = self.context.urls.host(&self.app.label);
        let mut settings = crate::app::settings::of(&self.app, host);
        // Nobody has a say in it.
        if let Some(Size { cpu, memory_mib }) = self.template.size {
            (settings.cpu, settings.memory_mib) = (Some(cpu), Some(memory_mib));
        }
        let plan =
            detect::detect(&settings, &sources).map_err(|error| Halt::Failed(error.to_string()))?;
        for reason in &plan.reasons {
            self.say(reason).await;
        }
        for warning in &plan.warnings {
            self.say(format!("Warning: {warning}")).await;
        }
        self.port = Shape::of(&self.app, &plan).port;
        self.keep_plan(&plan).await?;
        Ok(plan)
    }
}

fn wanted_text(git_ref: &str, commit: &str) -> String {
    match commit {
        "" => git_ref.to_owned(),
        commit if git_ref == commit => commit.to_owned(),
        commit => format!("{git_ref}, commit {commit}"),
    }
}

pub(super) fn refused(error: GitError) -> Halt {
    if matches!(error, GitError::Start { .. } | GitError::Folder(_) | GitError::Unreadable(_)) {
        tracing::error!(error = &error as &dyn std::error::Error, "git failed");
    }
    Halt::Failed(git_message(&error))
}
