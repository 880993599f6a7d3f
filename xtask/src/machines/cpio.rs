//! A kernel's initial file system: a newc archive with a console, a program, and empty folders to
//! mount on.

/// An archive with `/init`, `/dev/console`, which the kernel opens for `/init`, the mount points
/// `/proc` and `/sys`, and in `/modules` these modules: `0.ko`, `1.ko` and so on.
pub fn with_init(program: &[u8], modules: &[Vec<u8>]) -> Vec<u8> {
    const FOLDER: u32 = 0o040_755;
    const CHARACTER_DEVICE: u32 = 0o020_600;
    const PROGRAM: u32 = 0o100_755;
    const FILE: u32 = 0o100_644;
    let mut archive = Vec::new();
    entry(&mut archive, "dev", FOLDER, (0, 0), &[]);
    entry(&mut archive, "dev/console", CHARACTER_DEVICE, (5, 1), &[]);
    entry(&mut archive, "proc", FOLDER, (0, 0), &[]);
    entry(&mut archive, "sys", FOLDER, (0, 0), &[]);
    entry(&mut archive, "init", PROGRAM, (0, 0), program);
    entry(&mut archive, "modules", FOLDER, (0, 0), &[]);
    for (number, module) in modules.iter().enumerate() {
        entry(&mut archive, &format!("modules/{number}.ko"), FILE, (0, 0), module);
    }
    entry(&mut archive, "TRAILER!!!", 0, (0, 0), &[]);
    archive
}

/// Appends a header of thirteen hexadecimal numbers, the name and the content. The header with the
/// name, and the content, are each padded to a multiple of four bytes.
fn entry(archive: &mut Vec<u8>, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
    let inode = archive.len() as u32;
    let (size, name_size) = (content.len() as u32, name.len() as u32 + 1);
    archive.extend(b"070701");
    for number in [inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0] {
        archive.extend(format!("{number:08x}").bytes());
    }
    archive.extend(name.bytes());
    archive.push(0);
    pad(archive);
    archive.extend(content);
    pad(archive);
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}
