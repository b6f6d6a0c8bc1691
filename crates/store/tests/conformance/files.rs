use std::os::unix::fs::PermissionsExt;

use crate::support::World;

/// Sealed environments and hashed keys are in there, and what nobody sealed.
#[tokio::test]
async fn its_files_are_its_owners_alone() {
    let world = World::new().await;
    let mut files = 0;
    for entry in std::fs::read_dir(world.folder()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
        files += 1;
    }
    assert!(files > 1, "the database and what SQLite keeps beside it");
}
