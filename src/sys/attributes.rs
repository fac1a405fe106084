//! Copies owner, mode, access list and extended attributes from an old file to the new file that
//! replaces it.
//!
//! Each is copied as far as this process may, and never so that anybody may do more with the new
//! file than with the old one, because the bytes belong to the user who replaces it.

use std::fs::File;
use std::io;

/// The relation of the new file to the file that it takes its attributes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heir {
    /// The new file replaces the old one.
    Successor,
    /// The new file stands beside the old one; the same users may read it.
    Companion,
}

/// Gives `new` the attributes that the user set on `old`. Until then only its owner may use the new
/// file, and it has no set-id bits.
#[cfg(unix)]
pub(crate) fn preserve_attributes(old: &File, new: &File, heir: Heir) -> io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let (from, to) = (old.metadata()?, new.metadata()?);
    if from.uid() != to.uid() || from.gid() != to.gid() {
        // Only root can give a file away. The group alone is often allowed where the owner is not.
        let _ = fchown(new, Some(from.uid()), Some(from.gid()))
            .or_else(|_| fchown(new, None, Some(from.gid())));
    }
    let to = new.metadata()?;
    let (owner, group) = (from.uid() == to.uid(), from.gid() == to.gid());
    #[cfg(target_os = "linux")]
    let list = xattrs::copy(old, new, owner && group)?;
    #[cfg(not(target_os = "linux"))]
    let list = true;
    let kept = Kept { owner, group, list };
    let mut mode = kept.mode(from.mode());
    if heir == Heir::Companion {
        mode &= !SET_ID;
    }
    // Last, because a change of owner clears the set-id bits, and because others may read the file
    // from here on.
    new.set_permissions(Permissions::from_mode(mode))
}

/// Gives `new` the permissions of `old`.
#[cfg(not(unix))]
pub(crate) fn preserve_attributes(old: &File, new: &File, _: Heir) -> io::Result<()> {
    new.set_permissions(old.metadata()?.permissions())
}

#[cfg(unix)]
const SET_ID: u32 = 0o6000;

/// The attributes of the old file that could be kept, besides its mode.
#[cfg(unix)]
#[derive(Clone, Copy, Debug)]
struct Kept {
    owner: bool,
    group: bool,
    /// The access list, or its absence.
    list: bool,
}

#[cfg(unix)]
impl Kept {
    /// The mode of the new file, where that of the old one is `mode`.
    fn mode(self, mode: u32) -> u32 {
        let (group, others) = (mode >> 3 & 0o7, mode & 0o7);
        let mut kept = mode & 0o1777;
        if self.owner && self.group {
            kept |= mode & SET_ID;
        }
        if !self.group {
            // Members of the old group may be among the others now, and the other way round: both
            // get the rights that both had.
            kept = kept & !0o077 | (group & others) << 3 | group & others;
        }
        if !self.list {
            // With a list, the bits of the group are the most that the list allows to anybody.
            kept &= !0o070;
        }
        kept
    }
}

#[cfg(target_os = "linux")]
mod xattrs {
    //! Extended attributes, POSIX access lists among them.

    use std::ffi::{CStr, CString};
    use std::fs::File;
    use std::io;

    use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
    use rustix::io::Errno;

    /// The kernel's own limit on the names of a file's extended attributes, and on each of their
    /// values.
    const MAX: usize = 1 << 16;

    /// Gives `new` the extended attributes of `old`, and its access lists only if `lists`. Removes
    /// lists that `new` has from the default list of its directory and `old` lacks. Says whether
    /// the lists are those of `old`.
    ///
    /// Some file systems have no attributes, and attributes that may not be changed stay.
    pub(super) fn copy(old: &File, new: &File, lists: bool) -> io::Result<bool> {
        let mut same = true;
        let wanted = names(old);
        for name in names(new)
            .iter()
            .filter(|name| is_list(name) && !(lists && wanted.contains(name)))
        {
            same &= tolerate(fremovexattr(new, name.as_c_str()))?;
        }
        let mut value = vec![0; MAX];
        for name in wanted.iter().filter(|name| is_kept(name)) {
            let copied = (lists || !is_list(name)) && {
                match fgetxattr(old, name.as_c_str(), &mut value[..]) {
                    Ok(len) => tolerate(fsetxattr(
                        new,
                        name.as_c_str(),
                        &value[..len],
                        XattrFlags::empty(),
                    ))?,
                    Err(_) => false,
                }
            };
            same &= copied || !is_list(name);
        }
        Ok(same)
    }

    /// Whether the attribute was changed. False if it may not be.
    fn tolerate(changed: Result<(), Errno>) -> io::Result<bool> {
        match changed {
            Ok(()) => Ok(true),
            Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::NODATA) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the user or the administrator, to whom the file belongs, set the attribute. Not so
    /// for attributes of the very bytes (`security.capability`, `security.ima`, `security.evm`) or
    /// of the inode (`trusted.*`).
    fn is_kept(name: &CStr) -> bool {
        let labels: [&[u8]; 2] = [b"security.selinux", b"security.SMACK64"];
        let name_bytes = name.to_bytes();
        name_bytes.starts_with(b"user.") || is_list(name) || labels.contains(&name_bytes)
    }

    fn is_list(name: &CStr) -> bool {
        let lists: [&[u8]; 3] = [
            b"system.posix_acl_access",
            b"system.nfs4_acl",
            b"system.richacl",
        ];
        lists.contains(&name.to_bytes())
    }

    /// The names of the extended attributes; none where the file system has no such thing.
    fn names(file: &File) -> Vec<CString> {
        let mut names = vec![0; MAX];
        let len = flistxattr(file, &mut names[..]).unwrap_or(0);
        let names = names[..len].split(|&byte| byte == 0);
        names
            .filter(|name| !name.is_empty())
            .filter_map(|name| CString::new(name).ok())
            .collect()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn set_id_bits_are_kept_with_owner_and_group_alone() {
        let kept = |owner, group, mode| {
            let list = true;
            Kept { owner, group, list }.mode(mode)
        };
        assert_eq!(kept(true, true, 0o6755), 0o6755);
        assert_eq!(kept(false, true, 0o6775), 0o775);
        assert_eq!(kept(true, false, 0o6755), 0o755);
        assert_eq!(kept(false, false, 0o6777), 0o777);
    }

    #[test]
    fn nobody_may_do_more_with_the_new_file_than_with_the_old_one() {
        for mode in 0..0o1000 {
            for (group, list) in [(true, false), (false, true), (false, false)] {
                let owner = true;
                let kept = Kept { owner, group, list }.mode(mode);
                assert_eq!(kept & !mode, 0, "{mode:o} became {kept:o}");
                assert_eq!(kept & 0o700, mode & 0o700);
                if !group {
                    let both = mode >> 3 & mode & 0o7;
                    assert_eq!(
                        (kept >> 3 | kept) & 0o7 & !both,
                        0,
                        "{mode:o} became {kept:o}"
                    );
                }
            }
        }
    }
}
