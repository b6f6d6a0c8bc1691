//! The volumes of an org, and who writes to which.
//!
//! The row is there before the file, and after it: a crash leaves a row that is not ready,
//! and the next start removes what belongs to it. A file without a row is left where it is:
//! only a database that was lost leaves one, and it may be all that is left of somebody's data.
//!
//! Which sandbox writes to a volume is decided with the row of the sandbox, in one
//! transaction, and ends with what is reported of it: gone, or failed. Until then the volume
//! is held, also while the sandbox sleeps.

use pando_store::{Insert, SandboxRow, Swap, Tx, VolumeRow, VolumeState, VolumeUse};
use pando_types::limits::{
    MAX_VOLUME_MIB, MAX_VOLUME_NAME_BYTES, MAX_VOLUMES_ATTACHED, MIN_VOLUME_MIB,
};
use pando_types::page::{Cursor, List, PageRequest};
use pando_types::volume::{self, AttachVolume, AttachedVolume, CreateVolume, Volume};
use pando_types::{Code, OrgId, PublicError, VolumeId};
use pando_vm::sys::fault::{self, Fault};

use super::sandboxes::{Sandboxes, failed};
use crate::{Disk, Spare};

const MIB: u64 = 1 << 20;
/// The field of a create that names volumes.
const FIELD: &str = "volumes";

impl Sandboxes {
    /// Makes a volume under an id that was chosen before; returns when it is durable.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`], [`Code::Conflict`] for a name that is taken,
    /// [`Code::OverQuota`], [`Code::InsufficientStorage`]. Nothing is left of it then.
    pub async fn volume_create(
        &self,
        id: VolumeId,
        org: OrgId,
        request: CreateVolume,
    ) -> Result<Volume, PublicError> {
        let size_mib = check(&request)?;
        let row = VolumeRow {
            id,
            org,
            name: request.name,
            size_mib,
            owner_node: self.node_id,
            state: VolumeState::Making,
            holder: None,
            created: self.clock.now(),
        };
        self.admit_volume(&row).await?;
        fault::point(Fault::VolumeRowed);
        // In a task of its own: a client that goes away cannot cut it midway.
        let this = self.clone();
        let made = tokio::spawn(async move { this.make_volume(row).await }).await;
        made.unwrap_or_else(|_| Err(PublicError::internal()))
    }

    async fn admit_volume(&self, row: &VolumeRow) -> Result<(), PublicError> {
        let failed = |error| failed(&error);
        let mut tx = self.store.begin().await.map_err(failed)?;
        let quota = tx.org_quota(row.org).await.map_err(failed)?.quota();
        let usage = tx.volume_usage(row.org).await.map_err(failed)?;
        // A name that is taken says more than a quota that is used up.
        if tx.volume_insert(row).await.map_err(failed)? == Insert::Exists {
            let message = format!("there is a volume `{}` already", row.name);
            return Err(PublicError {
                field: Some("name".to_owned()),
                ..PublicError::new(Code::Conflict, message)
            });
        }
        quota.admit_volume(&usage, row.size_mib)?;
        tx.commit().await.map_err(failed)
    }

    async fn make_volume(&self, row: VolumeRow) -> Result<Volume, PublicError> {
        if let Err(error) = self.node.volume_make(row.id, row.size_mib).await {
            tracing::warn!(
                volume = row.id.short(),
                error = crate::chain(&error),
                "the volume was not made"
            );
            self.end_volume(&row).await?;
            return Err(PublicError::from(&error));
        }
        let swap = self.store.volume_ready(row.id).await.map_err(|error| failed(&error))?;
        match swap {
            Swap::Done => Ok(shown(&VolumeRow { state: VolumeState::Ready, ..row })),
            Swap::Missing | Swap::Stale => Err(PublicError::not_found("volume", &row.name)),
        }
    }

    /// One volume of an org.
    ///
    /// # Errors
    /// [`Code::NotFound`] when there is none of that name, or it is not whole.
    pub async fn volume_get(&self, org: OrgId, name: &str) -> Result<Volume, PublicError> {
        Ok(shown(&self.volume_row(org, name).await?))
    }

    /// What became of a create whose end nobody heard: the volume, if it was made.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub async fn volume_made(
        &self,
        org: OrgId,
        id: VolumeId,
    ) -> Result<Option<Volume>, PublicError> {
        let row = self.store.volume_get(id).await.map_err(|error| failed(&error))?;
        let row = row.filter(|row| row.org == org && row.state == VolumeState::Ready);
        Ok(row.as_ref().map(shown))
    }

    async fn volume_row(&self, org: OrgId, name: &str) -> Result<VolumeRow, PublicError> {
        let row = self.store.volume_named(org, name).await.map_err(|error| failed(&error))?;
        row.filter(|row| row.state == VolumeState::Ready)
            .ok_or_else(|| PublicError::not_found("volume", name))
    }

    /// An org's volumes, oldest first.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn volume_list(
        &self,
        org: OrgId,
        page: PageRequest<VolumeId>,
    ) -> Result<List<Volume>, PublicError> {
        let rows = self.store.volume_list(org, page.after, page.rows()).await;
        let rows = rows.map_err(|error| failed(&error))?;
        let place = |row: &VolumeRow| Cursor { created: row.created, id: row.id };
        Ok(List::of(rows, &page, place, shown))
    }

    /// Deletes a volume that no sandbox writes to, with all that is on it. Copies stay.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Conflict`] while a sandbox holds it.
    pub async fn volume_delete(&self, org: OrgId, name: &str) -> Result<(), PublicError> {
        let row = self.volume_row(org, name).await?;
        let swap = self.store.volume_unwant(row.id).await.map_err(|error| failed(&error))?;
        if swap != Swap::Done {
            // Of two who delete it, the other one was faster: then there is none.
            let now = self.volume_row(org, name).await?;
            let holder = now.holder.map(|holder| holder.short()).unwrap_or_default();
            let message = format!("the volume `{name}` is attached to sandbox {holder}");
            return Err(PublicError::new(Code::Conflict, message)
                .hint("delete that sandbox first; asleep, it holds its volumes all the same"));
        }
        fault::point(Fault::VolumeUnwanted);
        self.end_volume(&row).await
    }

    /// The refusal of a create that was to have copies of volumes, of which one is gone:
    /// nothing holds a volume for those who only read it.
    pub(super) async fn volumes_gone(&self, to_read: &[(VolumeId, String)]) -> Option<PublicError> {
        for (id, name) in to_read {
            let row = self.store.volume_get(*id).await.ok()?;
            if row.is_none_or(|row| row.state != VolumeState::Ready) {
                let message = format!("the volume `{name}` was deleted meanwhile");
                let refusal = PublicError::new(Code::Conflict, message);
                return Some(PublicError { field: Some(FIELD.to_owned()), ..refusal });
            }
        }
        None
    }

    /// Removes the file of a volume that is not to be, then its row.
    async fn end_volume(&self, row: &VolumeRow) -> Result<(), PublicError> {
        let failed = |error| failed(&error);
        // Nobody is given it any more, and then it goes.
        let _: Swap = self.store.volume_unwant(row.id).await.map_err(failed)?;
        let deleted = self.node.volume_delete(row.id).await;
        deleted.map_err(|error| PublicError::from(&error))?;
        fault::point(Fault::VolumeRemoved);
        self.store.volume_forget(row.id).await.map(drop).map_err(failed)
    }

    /// Ends the differences between rows and files that a crash left, at a start.
    pub(super) async fn settle_volumes(&self) -> Result<(), PublicError> {
        let rows = self.store.volume_list_owned(self.node_id).await;
        let rows = rows.map_err(|error| failed(&error))?;
        let on_node = self.node.volumes().await.map_err(|error| PublicError::from(&error))?;
        for id in on_node.iter().filter(|id| !rows.iter().any(|row| row.id == **id)) {
            tracing::warn!(volume = %id, "the file of a volume without a row: it is left there");
        }
        for row in rows {
            let is_there = on_node.contains(&row.id);
            match (row.state, is_there, row.holder) {
                (VolumeState::Ready, true, _) => {}
                (VolumeState::Ready, false, Some(holder)) => {
                    let (volume, sandbox) = (row.id.short(), holder.short());
                    tracing::error!(volume, sandbox, "the file of a volume that is held is gone");
                }
                _ => {
                    tracing::info!(volume = row.id.short(), "it is not whole, so it goes");
                    self.end_volume(&row).await?;
                }
            }
        }
        Ok(())
    }
}

/// Gives a sandbox whose row was just added the volumes that it is to have.
///
/// # Errors
/// [`Code::NotFound`] for one that there is not, [`Code::Conflict`] for one that another
/// sandbox writes to.
pub(super) async fn attach(
    tx: &mut Tx,
    row: &SandboxRow,
    wanted: &[AttachVolume],
) -> Result<Vec<Spare>, PublicError> {
    let failed = |error| failed(&error);
    let mut spares = Vec::with_capacity(wanted.len());
    for AttachVolume { name, read_only } in wanted {
        let of_field = |error: PublicError| PublicError { field: Some(FIELD.to_owned()), ..error };
        let found = tx.volume_named(row.org, name).await.map_err(failed)?;
        let found = found.ok_or_else(|| of_field(PublicError::not_found("volume", name)))?;
        if !read_only && tx.volume_hold(found.id, row.id).await.map_err(failed)? != Swap::Done {
            let holder = found.holder.map(|holder| holder.short()).unwrap_or_default();
            let message = format!("sandbox {holder} writes to the volume `{name}`");
            let hint = "delete that sandbox first, or attach it with `read_only`: a copy of now";
            return Err(of_field(PublicError::new(Code::Conflict, message).hint(hint)));
        }
        let disk = Disk::Volume { volume: found.id, name: name.clone(), read_only: *read_only };
        spares.push(Spare::mounted(disk, volume::path(name)));
    }
    Ok(spares)
}

/// The volumes of which a sandbox with these disks is to have a copy of now.
pub(super) fn to_read(spares: &[Spare]) -> Vec<(VolumeId, String)> {
    let of = |spare: &Spare| match &spare.disk {
        Disk::Volume { volume, name, read_only: true } => Some((*volume, name.clone())),
        _ => None,
    };
    spares.iter().filter_map(of).collect()
}

/// What a create asks for, where it can be had beside the copies that come with its snapshot.
pub(super) fn wanted(
    asked: &[AttachVolume],
    copies: &[VolumeUse],
    inherited: usize,
) -> Result<Vec<VolumeUse>, PublicError> {
    let mut uses = copies.to_vec();
    for AttachVolume { name, read_only } in asked {
        if !volume::is_name(name) {
            return Err(PublicError::invalid(FIELD, bad_name()));
        }
        if uses.iter().any(|held| held.name == *name) {
            let message = match copies.iter().any(|copy| copy.name == *name) {
                true => format!("the snapshot has a copy of a volume `{name}` there already"),
                false => format!("`{FIELD}` names `{name}` twice"),
            };
            return Err(PublicError::invalid(FIELD, message));
        }
        uses.push(VolumeUse { name: name.clone(), read_only: *read_only, copy: false });
    }
    if asked.len() + inherited > MAX_VOLUMES_ATTACHED && !asked.is_empty() {
        let message = match inherited {
            0 => format!("`{FIELD}` holds at most {MAX_VOLUMES_ATTACHED}"),
            _ => format!(
                "a sandbox has at most {MAX_VOLUMES_ATTACHED} volumes; the snapshot has {inherited}"
            ),
        };
        return Err(PublicError::invalid(FIELD, message));
    }
    Ok(uses)
}

/// The same of a sandbox that is made of another.
pub(super) fn copies(of: &[VolumeUse]) -> Vec<VolumeUse> {
    of.iter().map(|held| VolumeUse { copy: true, ..held.clone() }).collect()
}

/// What a sandbox has of volumes that is made of an image with these disks.
pub(super) fn copies_of(spares: &[Spare]) -> Vec<VolumeUse> {
    let copy = |spare: &Spare| match &spare.disk {
        Disk::Volume { name, read_only, .. } | Disk::Copy { name: Some(name), read_only } => {
            Some(VolumeUse { name: name.clone(), read_only: *read_only, copy: true })
        }
        Disk::Blank | Disk::Begun { .. } | Disk::Copy { name: None, .. } => None,
    };
    spares.iter().filter_map(copy).collect()
}

/// As its owner sees it.
pub(super) fn attached(held: &VolumeUse) -> AttachedVolume {
    let VolumeUse { name, read_only, copy } = held.clone();
    AttachedVolume { path: volume::path(&name), name, read_only, copy }
}

fn check(request: &CreateVolume) -> Result<u32, PublicError> {
    if !volume::is_name(&request.name) {
        return Err(PublicError::invalid("name", bad_name()));
    }
    let size = u32::try_from(request.size_mb).ok();
    size.filter(|size| (MIN_VOLUME_MIB..=MAX_VOLUME_MIB).contains(size)).ok_or_else(|| {
        let message = format!(
            "`size_mb` is {}; it must be from {MIN_VOLUME_MIB} to {MAX_VOLUME_MIB}",
            request.size_mb
        );
        PublicError::invalid("size_mb", message)
    })
}

fn bad_name() -> String {
    format!(
        "the name of a volume is 1 to {MAX_VOLUME_NAME_BYTES} of a-z, 0-9, `-` and `_`, and begins \
         with a letter or digit"
    )
}

fn shown(row: &VolumeRow) -> Volume {
    Volume {
        id: row.id,
        name: row.name.clone(),
        size_mb: row.size_mib,
        size_bytes: u64::from(row.size_mib) * MIB,
        attached_to: row.holder,
        created_at: row.created.to_rfc3339(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_vm::driver::{SPARE_DISK_BYTES, SPARE_DISKS};

    fn asked(names: &[&str]) -> Vec<AttachVolume> {
        let one = |name: &&str| AttachVolume { name: (*name).to_owned(), read_only: false };
        names.iter().map(one).collect()
    }

    #[test]
    fn the_limits_are_those_of_the_disks() {
        assert_eq!(MAX_VOLUMES_ATTACHED, SPARE_DISKS);
        assert_eq!(u64::from(MAX_VOLUME_MIB) * MIB, SPARE_DISK_BYTES);
    }

    #[test]
    fn a_volume_has_a_plain_name_and_a_size() {
        let request = |name: &str, size_mb| CreateVolume { name: name.into(), size_mb };
        assert_eq!(check(&request("data", 16)), Ok(16));
        assert_eq!(check(&request("data", 65_536)), Ok(65_536));
        for (name, size_mb, field) in [
            ("../data", 16, "name"),
            ("", 16, "name"),
            ("data", 15, "size_mb"),
            ("data", 65_537, "size_mb"),
            ("data", -1, "size_mb"),
            ("data", i64::MAX, "size_mb"),
        ] {
            let refused = check(&request(name, size_mb)).unwrap_err();
            assert_eq!(refused.field.as_deref(), Some(field), "{name} {size_mb}");
        }
    }

    #[test]
    fn no_volume_comes_twice_and_there_are_as_many_as_disks() {
        assert_eq!(wanted(&asked(&["a", "b", "c"]), &[], 0).unwrap().len(), 3);
        for bad in [asked(&["a", "a"]), asked(&["a", "b", "c", "d"]), asked(&["a/b"])] {
            let refused = wanted(&bad, &[], 0).unwrap_err();
            assert_eq!(
                (refused.code, refused.field.as_deref()),
                (Code::InvalidRequest, Some(FIELD))
            );
        }
    }

    #[test]
    fn what_comes_with_a_snapshot_stays_where_it_is() {
        let copies = [VolumeUse { name: "a".into(), read_only: false, copy: true }];
        let uses = wanted(&asked(&["b"]), &copies, 2).unwrap();
        assert_eq!(uses.iter().map(|held| held.copy).collect::<Vec<_>>(), [true, false]);
        assert!(wanted(&asked(&["a"]), &copies, 1).is_err());
        assert!(wanted(&asked(&["b", "c"]), &copies, 2).is_err());
        assert_eq!(wanted(&[], &copies, 3).unwrap(), copies);
    }
}
