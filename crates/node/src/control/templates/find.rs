//! What a name stands for when a sandbox is made of it: the org's own template, or one for
//! all.

use pando_store::TemplateRow;
use pando_types::{OrgId, PublicError};
use pando_vm::driver::Shape;

use super::super::sandboxes::{Sandboxes, failed};
use crate::node::{NodeError, Source};

/// The size that a create names, as far as it does.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) struct AskedSize {
    pub cpu: Option<i64>,
    pub memory_mb: Option<i64>,
}

impl Sandboxes {
    /// What a sandbox of the template `name` is made of, and its size. A template of an org
    /// has its machine's, which a request may name and not change.
    pub(in crate::control) async fn template_source(
        &self,
        org: OrgId,
        name: &str,
        asked: AskedSize,
        shape: Shape,
    ) -> Result<(Source, Shape), PublicError> {
        // No template of an org has the name of one for all.
        if self.node.templates().iter().any(|template| template.name == name) {
            return Ok((Source::Template(name.to_owned()), shape));
        }
        let row = self.store.template_get(org, name).await.map_err(|error| failed(&error))?;
        let Some(row) = row else { return Err(self.unknown_template(org, name).await?) };
        check_size(&row, asked)?;
        Ok((Source::Snapshot(row.snapshot), shape_of(&row)))
    }

    async fn unknown_template(&self, org: OrgId, name: &str) -> Result<PublicError, PublicError> {
        let own = self.store.template_list(org).await.map_err(|error| failed(&error))?;
        let known = self.node.templates().into_iter().map(|template| template.name);
        let known = known.chain(own.into_iter().map(|row| row.name)).collect();
        let name = name.chars().take(64).collect();
        Ok(PublicError::from(&NodeError::UnknownTemplate { name, known }))
    }
}

fn shape_of(row: &TemplateRow) -> Shape {
    Shape { cpu: row.cpu, memory_mib: row.memory_mib }
}

fn check_size(row: &TemplateRow, wish: AskedSize) -> Result<(), PublicError> {
    for (field, asked, has) in
        [("cpu", wish.cpu, row.cpu), ("memory_mb", wish.memory_mb, row.memory_mib)]
    {
        if asked.is_some_and(|asked| asked != i64::from(has)) {
            let message = format!(
                "`{field}` of template `{}` is {has}, and its machine runs already: leave `{field}` \
                 out, or build the template with another",
                row.name
            );
            return Err(PublicError::invalid(field, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_types::{NodeId, SnapshotId, Timestamp};

    #[test]
    fn a_size_is_named_or_left_out() {
        let row = TemplateRow {
            org: OrgId::new(),
            name: "x".into(),
            version: 1,
            cpu: 1,
            memory_mib: 512,
            size_bytes: 1,
            snapshot: SnapshotId::new(),
            owner_node: NodeId::new(),
            config: "{}".into(),
            created: Timestamp::from_millis(0),
        };
        let with = |cpu, memory_mb| AskedSize { cpu, memory_mb };
        assert!(check_size(&row, with(None, None)).is_ok());
        assert!(check_size(&row, with(Some(1), Some(512))).is_ok());
        let error = check_size(&row, with(Some(2), None)).unwrap_err();
        assert_eq!(error.field.as_deref(), Some("cpu"));
        let error = check_size(&row, with(None, Some(1024))).unwrap_err();
        assert_eq!(error.field.as_deref(), Some("memory_mb"));
    }
}
