//! What the vector kernels have in common: bodies beside each other, one in each 32-bit lane.

/// The kernel of an instruction set. Where it stands there must be the vector `V` with `LANES` lanes
/// and, compiled for the features named: `add`, `f`, `g`, `h`, `i` (see `rounds!`), `rows`, which puts
/// 16 bytes of some lanes into a vector, `unpack32` and `unpack64`, which interleave two vectors
/// by words and by pairs of words within each 128 bits, and `load` and `store` of one word of each lane.
macro_rules! vector_kernel {
    ($features:literal) => {
        /// Adds the blocks of each run to the body of the same lane. All runs have equal lengths.
        #[target_feature(enable = $features)]
        pub(crate) fn compress(states: &mut [State; LANES], runs: &[&[Block]; LANES]) {
            let blocks = runs[0].len();
            let column = |word: usize| load(&std::array::from_fn(|lane| states[lane][word]));
            let (mut a, mut b, mut c, mut d) = (column(0), column(1), column(2), column(3));
            for n in 0..blocks {
                let m = words(&std::array::from_fn(|lane| &runs[lane][n]));
                let before = (a, b, c, d);
                rounds!(a, b, c, d, m);
                a = add(a, before.0);
                b = add(b, before.1);
                c = add(c, before.2);
                d = add(d, before.3);
            }
            for (word, vector) in [a, b, c, d].into_iter().enumerate() {
                for (state, value) in states.iter_mut().zip(store(vector)) {
                    state[word] = value;
                }
            }
        }

        /// The words of a block of each lane: vector n holds word n of every lane.
        #[inline]
        #[target_feature(enable = $features)]
        fn words(blocks: &[&Block; LANES]) -> [V; 16] {
            let [m0, m1, m2, m3] = quarter(blocks, 0);
            let [m4, m5, m6, m7] = quarter(blocks, 1);
            let [m8, m9, m10, m11] = quarter(blocks, 2);
            let [m12, m13, m14, m15] = quarter(blocks, 3);
            [
                m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15,
            ]
        }

        /// The four words from `4 * part` on of every lane. `rows` leaves those of a lane side by side
        /// in 128 bits of a vector, and four lanes above each other: rows become columns.
        #[inline]
        #[target_feature(enable = $features)]
        fn quarter(blocks: &[&Block; LANES], part: usize) -> [V; 4] {
            let (low01, high01) = unpack32(rows(blocks, part, 0), rows(blocks, part, 1));
            let (low23, high23) = unpack32(rows(blocks, part, 2), rows(blocks, part, 3));
            let (m0, m1) = unpack64(low01, low23);
            let (m2, m3) = unpack64(high01, high23);
            [m0, m1, m2, m3]
        }
    };
}
