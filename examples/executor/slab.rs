//! Values by key, in one `Vec`. A key is a place and a generation. A removal ends the generation,
//! so a late event or wake-up finds nothing, even if the place has a new value.

pub struct Slab<T> {
    entries: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub const fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    /// Puts the value for a new key in a free place. A key returns after 2^32 values in its place.
    pub fn insert(&mut self, make: impl FnOnce(u64) -> T) -> u64 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.entries.push((0, None));
            u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 values")
        });
        let (generation, entry) = &mut self.entries[place as usize];
        let key = u64::from(*generation) << 32 | u64::from(place);
        *entry = Some(make(key));
        key
    }

    pub fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        match self.entries.get_mut(key as u32 as usize) {
            Some((generation, entry)) if *generation == (key >> 32) as u32 => entry.as_mut(),
            _ => None,
        }
    }

    pub fn remove(&mut self, key: u64) -> Option<T> {
        let (generation, entry) = self.entries.get_mut(key as u32 as usize)?;
        if *generation != (key >> 32) as u32 {
            return None;
        }
        let value = entry.take()?;
        *generation = generation.wrapping_add(1);
        self.free.push(key as u32);
        Some(value)
    }

    pub fn keys(&self) -> Vec<u64> {
        let key = |(place, (generation, _)): (usize, &(u32, _))| u64::from(*generation) << 32 | place as u64;
        self.entries.iter().enumerate().filter(|(_, entry)| entry.1.is_some()).map(key).collect()
    }
}
