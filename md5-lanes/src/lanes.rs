//! Advances many bodies together: round by round, as many blocks as the shortest of the bodies
//! taking part has in one piece.

use crate::{BLOCK_BYTES, Block, Md5, State};

/// A way to hash bodies side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// One after the other.
    Scalar,
    /// Eight in the lanes of AVX2.
    Avx2,
    /// Sixteen in the lanes of AVX-512.
    Avx512,
}

impl Kernel {
    /// All of them, the widest first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Scalar];

    /// Whether this processor has it.
    #[must_use]
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return match self {
            Self::Scalar => true,
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
        };
        #[cfg(not(target_arch = "x86_64"))]
        return self == Self::Scalar;
    }

    /// Bodies that it hashes together.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::Scalar => 1,
            Self::Avx2 => 8,
            Self::Avx512 => 16,
        }
    }
}

/// Bytes to add to a body: pieces, one after the other.
#[derive(Debug)]
pub struct Feed<'a, P> {
    md5: &'a mut Md5,
    pieces: P,
    /// The blocks of the present piece that are still to be added.
    blocks: &'a [Block],
    /// What follows them in the piece.
    rest: &'a [u8],
}

impl<'a, P: Iterator<Item = &'a [u8]>> Feed<'a, P> {
    /// `pieces` are to be added to `md5`.
    #[must_use]
    pub fn new(md5: &'a mut Md5, pieces: P) -> Self {
        Self {
            md5,
            pieces,
            blocks: &[],
            rest: &[],
        }
    }

    /// Goes on to the next piece that has whole blocks; false when there is none, and all is added.
    fn find_blocks(&mut self) -> bool {
        while self.blocks.is_empty() {
            self.md5.keep_partial(std::mem::take(&mut self.rest));
            let Some(piece) = self.pieces.next() else {
                return false;
            };
            (self.blocks, self.rest) = self.md5.complete_block(piece).as_chunks();
        }
        true
    }

    /// Adds all pieces, alone.
    fn add_all(&mut self) {
        while self.find_blocks() {
            self.md5.add_blocks(std::mem::take(&mut self.blocks));
        }
    }
}

/// Hashes bodies side by side.
#[derive(Debug, Clone, Copy)]
pub struct Lanes {
    kernel: Kernel,
}

impl Lanes {
    /// The widest that this processor has.
    #[must_use]
    pub fn new() -> Self {
        let kernel = Kernel::ALL.into_iter().find(|kernel| kernel.is_available());
        Self {
            kernel: kernel.unwrap_or(Kernel::Scalar),
        }
    }

    /// With this kernel; `None` where the processor does not have it.
    #[must_use]
    pub fn with(kernel: Kernel) -> Option<Self> {
        kernel.is_available().then_some(Self { kernel })
    }

    /// The kernel in use.
    #[must_use]
    pub fn kernel(self) -> Kernel {
        self.kernel
    }

    /// Bodies that are hashed together: with more of them, some wait for others.
    #[must_use]
    pub fn width(self) -> usize {
        self.kernel.width()
    }

    /// Adds all pieces of all feeds to their bodies.
    pub fn update<'a, P: Iterator<Item = &'a [u8]>>(self, feeds: &mut [Feed<'a, P>]) {
        loop {
            let mut busy: Vec<&mut Feed<'a, P>> = Vec::with_capacity(self.width());
            busy.extend(
                feeds
                    .iter_mut()
                    .filter_map(|feed| feed.find_blocks().then_some(feed))
                    .take(self.width()),
            );
            match busy.as_mut_slice() {
                [] => return,
                [alone] => alone.add_all(),
                several => self.round(several),
            }
        }
    }

    /// Adds to each feed as many blocks as the shortest has in one piece. There is one feed at
    /// least, and no more than lanes.
    fn round<'a, P: Iterator<Item = &'a [u8]>>(self, feeds: &mut [&mut Feed<'a, P>]) {
        match self.kernel {
            Kernel::Scalar => feeds[0].add_all(),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => side_by_side(feeds, |states, runs| {
                // SAFETY: `Lanes` have a kernel only where the processor has what it needs.
                unsafe { crate::avx2::compress(states, runs) }
            }),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => side_by_side(feeds, |states, runs| {
                // SAFETY: as for AVX2.
                unsafe { crate::avx512::compress(states, runs) }
            }),
            #[cfg(not(target_arch = "x86_64"))]
            Kernel::Avx2 | Kernel::Avx512 => unreachable!("`Lanes` have a kernel that there is"),
        }
    }
}

impl Default for Lanes {
    fn default() -> Self {
        Self::new()
    }
}

/// One round of a kernel with `LANES` lanes. Those without a feed do the first one's work again.
#[cfg(target_arch = "x86_64")]
fn side_by_side<'a, const LANES: usize, P: Iterator<Item = &'a [u8]>>(
    feeds: &mut [&mut Feed<'a, P>],
    compress: impl FnOnce(&mut [State; LANES], &[&[Block]; LANES]),
) {
    let shortest = feeds.iter().map(|feed| feed.blocks.len()).min();
    let count = shortest.expect("a round has a feed");
    let mut states = [feeds[0].md5.state; LANES];
    let mut runs = [&feeds[0].blocks[..count]; LANES];
    for (lane, feed) in feeds.iter().enumerate() {
        states[lane] = feed.md5.state;
        runs[lane] = &feed.blocks[..count];
    }
    compress(&mut states, &runs);
    for (feed, state) in feeds.iter_mut().zip(states) {
        feed.md5.state = state;
        feed.md5.length_bytes += (count * BLOCK_BYTES) as u64;
        feed.blocks = &feed.blocks[count..];
    }
}
