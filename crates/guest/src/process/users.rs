//! Accounts, from `/etc/passwd` and `/etc/group`.

use std::collections::HashMap;
use std::io;
use std::path::Path;

/// Who a command runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name; the number where it has none.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Main group.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// The account of `wanted` (a name or a number, and after a colon a group that takes the
/// place of its own), or the agent's own.
///
/// A number without an account is taken as it is, with a group of the same number.
/// `None` when a name has no account.
///
/// # Errors
/// When an account file cannot be read.
pub fn find(wanted: Option<&str>) -> io::Result<Option<User>> {
    let passwd = super::read_settings(Path::new("/etc/passwd"))?;
    let group = super::read_settings(Path::new("/etc/group"))?;
    let own = rustix::process::geteuid().as_raw().to_string();
    Ok(with_group(wanted.unwrap_or(&own), &passwd, &group))
}

/// The login name of each user id that has one.
///
/// # Errors
/// When the account file cannot be read.
pub fn names() -> io::Result<HashMap<u32, String>> {
    let passwd = super::read_settings(Path::new("/etc/passwd"))?;
    let mut names = HashMap::new();
    for user in passwd.lines().filter_map(account) {
        names.entry(user.uid).or_insert(user.name);
    }
    Ok(names)
}

/// As images name who runs in them: `user`, or `user:group`.
fn with_group(wanted: &str, passwd: &str, groups: &str) -> Option<User> {
    let Some((name, group)) = wanted.split_once(':') else {
        return look_up(wanted, passwd, groups);
    };
    let user = look_up(name, passwd, groups)?;
    let gid = group_id(group, groups)?;
    // Who names the group wants no other.
    Some(User { gid, groups: Vec::new(), ..user })
}

/// The id of a group, by its name or number.
fn group_id(wanted: &str, groups: &str) -> Option<u32> {
    let named = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == wanted).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    named.or_else(|| wanted.parse().ok().filter(|id| *id != u32::MAX))
}

fn look_up(wanted: &str, passwd: &str, group: &str) -> Option<User> {
    // A name comes first, also one made of digits.
    let accounts = || passwd.lines().filter_map(account);
    let number = wanted.parse::<u32>().ok();
    let found = accounts()
        .find(|user| user.name == wanted)
        .or_else(|| accounts().find(|user| Some(user.uid) == number));
    if let Some(mut user) = found {
        user.groups = memberships(&user.name, group);
        return Some(user);
    }
    // `u32::MAX` means "unchanged" to setuid.
    number.filter(|id| *id != u32::MAX).map(|id| User {
        name: id.to_string(),
        uid: id,
        gid: id,
        groups: Vec::new(),
        home: "/".into(),
        shell: "/bin/sh".into(),
    })
}

/// `name:password:uid:gid:comment:home:shell`.
fn account(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let home = fields.nth(1).filter(|home| !home.is_empty()).unwrap_or("/");
    let shell = fields.next().filter(|shell| !shell.is_empty()).unwrap_or("/bin/sh");
    Some(User {
        name: name.into(),
        uid,
        gid,
        groups: Vec::new(),
        home: home.into(),
        shell: shell.into(),
    })
}

/// The groups (`name:password:gid:members`) that list `user`.
fn memberships(user: &str, group: &str) -> Vec<u32> {
    group
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let id = fields.nth(2)?.parse().ok()?;
            fields.next()?.split(',').any(|member| member == user).then_some(id)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        # a comment\n\
        broken:x:abc\n\
        app:x:1000:1001:App,,,:/home/app:/bin/zsh\n\
        bare:x:7:7:::\n";
    const GROUP: &str = "root:x:0:\nsudo:x:27:app,other\ndocker:x:99:other,app\napp:x:1001:\n";

    #[test]
    fn by_name_and_by_number() {
        let app = look_up("app", PASSWD, GROUP).unwrap();
        assert_eq!((app.uid, app.gid, app.groups.as_slice()), (1000, 1001, &[27, 99][..]));
        assert_eq!((app.home.as_str(), app.shell.as_str()), ("/home/app", "/bin/zsh"));
        assert_eq!(look_up("1000", PASSWD, GROUP), Some(app));
    }

    #[test]
    fn a_group_may_be_named_with_it() {
        let of = |wanted: &str| with_group(wanted, PASSWD, GROUP).map(|user| (user.uid, user.gid));
        assert_eq!(of("app"), Some((1000, 1001)));
        assert_eq!(of("app:docker"), Some((1000, 99)));
        assert_eq!(of("4242:7"), Some((4242, 7)));
        assert!(with_group("app:docker", PASSWD, GROUP).unwrap().groups.is_empty());
        for none in ["app:", "app:nobodys", ":docker", "app:-1", "app:4294967295"] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn empty_fields_have_defaults() {
        let bare = look_up("bare", PASSWD, GROUP).unwrap();
        assert_eq!((bare.home.as_str(), bare.shell.as_str()), ("/", "/bin/sh"));
    }

    #[test]
    fn a_number_needs_no_account_and_a_name_does() {
        assert_eq!(look_up("4242", PASSWD, GROUP).map(|user| user.gid), Some(4242));
        for unknown in ["nobody-here", "", "-1", "4294967295", "broken"] {
            assert_eq!(look_up(unknown, PASSWD, GROUP), None, "{unknown}");
        }
    }
}
