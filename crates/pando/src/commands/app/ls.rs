//! `pando app ls`.

use pando_types::app::App;
use pando_types::page::List;

use crate::client::{ClientArgs, read};
use crate::commands::word;
use crate::error::Failure;
use crate::output;

/// Prints a table, or the list as JSON.
pub async fn run(client: &ClientArgs) -> Result<(), Failure> {
    let answer = client.client()?.list("/apps").await?;
    if client.json {
        return output::json(&answer);
    }
    let list: List<App> = read(&answer)?;
    output::line(&table(list.items))
}

fn table(apps: Vec<App>) -> String {
    output::table(&["NAME", "STATUS", "BRANCH", "PULL REQUEST", "URL"], apps.into_iter().map(row))
}

fn row(app: App) -> Vec<String> {
    let pull_request = app.pr_number.map(|number| format!("#{number}")).unwrap_or_default();
    vec![app.name, word(&app.status), app.git_branch, pull_request, app.url]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::app::tests::app;

    #[test]
    fn apps_and_previews_stand_in_one_table() {
        let preview = App { is_preview: true, pr_number: Some(7), ..app("shop-pr-7") };
        insta::assert_snapshot!(table(vec![app("shop"), preview]), @r"
        NAME       STATUS   BRANCH  PULL REQUEST  URL
        shop       running  main                  http://shop.preview.localhost
        shop-pr-7  running  main    #7            http://shop-pr-7.preview.localhost
        ");
    }
}
