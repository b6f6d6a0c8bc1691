//! Who is in a cage, by what the kernel keeps of it: a process can leave neither its room
//! nor its control group, nor become another user.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use super::{Cage, UIDS, room};
use crate::network::SlotNumber;
use crate::sys::process;

/// What precedes a slot's number in the name of its machine's control group.
const GROUP_PREFIX: &str = "vm-";

impl Cage {
    /// The control group of a process of ours.
    pub(crate) fn group_of(&self, pid: u32) -> Option<PathBuf> {
        self.groups.as_ref()?.of_process(pid)
    }

    /// Every process in a room or a control group of this server's, or of one before it,
    /// with its slot: whoever is caged can leave none of them.
    ///
    /// # Errors
    /// What the kernel said.
    pub(crate) fn occupants(&self) -> io::Result<HashMap<u32, Option<SlotNumber>>> {
        let mut found = HashMap::new();
        for pid in process::all()? {
            if process::has_mount(pid, room::TAGGED, &self.config.group) {
                found.insert(pid, self.slot_by_user(pid));
            }
        }
        // Not every host has them. Where they are they hold also who is on the way in, and
        // tell the slot when the operator changes the user ids.
        if let Some(groups) = &self.groups {
            found
                .extend(groups.processes()?.into_iter().map(|(group, pid)| (pid, slot_of(&group))));
        }
        Ok(found)
    }

    fn slot_by_user(&self, pid: u32) -> Option<SlotNumber> {
        let user = process::user(pid)?;
        let number = user.checked_sub(self.config.first_uid).filter(|number| *number < UIDS)?;
        Some(SlotNumber::new(number))
    }
}

/// The name of the control group of a slot's machine.
pub(super) fn group_name(slot: SlotNumber) -> String {
    format!("{GROUP_PREFIX}{slot}")
}

/// Whose control group has that name.
fn slot_of(group: &str) -> Option<SlotNumber> {
    group.strip_prefix(GROUP_PREFIX)?.parse().ok().map(SlotNumber::new)
}
