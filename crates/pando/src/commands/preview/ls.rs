//! `pando preview ls`.

use pando_types::app::App;
use pando_types::page::List;

use crate::client::{ClientArgs, read};
use crate::commands::word;
use crate::error::Failure;
use crate::output;

/// Prints a table, or the list as JSON.
pub async fn run(client: &ClientArgs) -> Result<(), Failure> {
    let answer = client.client()?.list("/previews").await?;
    if client.json {
        return output::json(&answer);
    }
    let list: List<App> = read(&answer)?;
    output::line(&table(list.items))
}

fn table(previews: Vec<App>) -> String {
    output::table(
        &["REPOSITORY", "PULL REQUEST", "BRANCH", "STATUS", "URL"],
        previews.into_iter().map(row),
    )
}

fn row(preview: App) -> Vec<String> {
    vec![
        preview.repo_full_name.unwrap_or(preview.git_url),
        preview.pr_number.map(|number| format!("#{number}")).unwrap_or_default(),
        preview.git_branch,
        word(&preview.status),
        preview.url,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::app::tests::app;

    #[test]
    fn a_preview_is_told_by_its_pull_request() {
        let preview = App {
            pr_number: Some(7),
            repo_full_name: Some("o/shop".into()),
            git_branch: "fix".into(),
            ..app("shop-pr-7")
        };
        insta::assert_snapshot!(table(vec![preview]), @r"
        REPOSITORY  PULL REQUEST  BRANCH  STATUS   URL
        o/shop      #7            fix     running  http://shop-pr-7.preview.localhost
        ");
    }
}
