//! Functions that the prebuilt `core` expects from libc. They copy byte by byte and volatile,
//! because the compiler would otherwise turn the loops into calls of these functions. The linker
//! drops unused ones.

/// The prebuilt `core` refers to it, but nothing here unwinds.
#[no_mangle]
extern "C" fn rust_eh_personality() {}

#[no_mangle]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller's contract is the C function's.
    (0..count).for_each(|at| unsafe { to.add(at).write_volatile(*from.add(at)) });
    to
}

#[no_mangle]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    if (to as usize) < from as usize {
        // SAFETY: the caller's contract. This direction reads each byte before it is overwritten.
        return unsafe { memcpy(to, from, count) };
    }
    // SAFETY: the caller's contract. So does this direction.
    (0..count).rev().for_each(|at| unsafe { to.add(at).write_volatile(*from.add(at)) });
    to
}

#[no_mangle]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    // SAFETY: the caller's contract is the C function's.
    (0..count).for_each(|at| unsafe { to.add(at).write_volatile(byte as u8) });
    to
}

#[no_mangle]
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, count: usize) -> i32 {
    // SAFETY: the caller's contract is the C function's.
    let difference = |at| unsafe { i32::from(one.add(at).read_volatile()) - i32::from(other.add(at).read_volatile()) };
    (0..count).map(difference).find(|difference| *difference != 0).unwrap_or(0)
}

#[no_mangle]
unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, count: usize) -> i32 {
    // SAFETY: the caller's contract is the C function's.
    unsafe { memcmp(one, other, count) }
}
